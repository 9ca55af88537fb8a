"""Transfers: a project gets another holder, who owns its name and its place in a quota."""

from __future__ import annotations

from slipway.access.principal import Principal
from slipway.domain.ids import ProjectId
from slipway.domain.project import Project
from slipway.errors import Busy
from slipway.services import ownership
from slipway.services.members import TRIES, Seen
from slipway.store import account_records, idempotency
from slipway.store import member_records as records
from slipway.store.table import Transaction, TransactionFailed


def transfer(project: ProjectId, to: str, principal: Principal) -> Project:
    """Let another member hold the project: its name and its place in a quota.

    That member becomes an owner, and the one who held it a maintainer. No-op if the member holds it
    already. Raises NotFound, Forbidden, NameTaken, QuotaExceeded, UserDisabled, ProjectGoing, Busy.
    Two round trips.
    """
    for _ in range(TRIES):
        seen = Seen(project, to, principal)
        shown = Project.model_validate(seen.item)
        was = seen.item["owner"]
        if was == to:
            return shown
        is_either = principal.user_id in (to, was)
        transaction = Transaction() if is_either else seen.transaction(principal.action)
        try:
            idempotency.commit(_giving(transaction, seen, was, to), shown)
        except TransactionFailed as failed:
            ownership.refuse(failed, project, seen.item)
        else:
            return shown
    raise Busy(1)


def _giving(transaction: Transaction, seen: Seen, was: str, to: str) -> Transaction:
    """Add the parts of a transfer. Those of the two members fail if their roles have changed."""
    project = seen.project
    owner, maintainer = {"role": "owner", "overrides": None}, {"role": "maintainer"}
    transaction.add("member", records.change(project, to, seen.target, owner))
    transaction.add("was", records.change(project, was, seen.members[was], maintainer))
    transaction.add("listing", records.relist(project, to, ownership.HELD))
    transaction.add("was listing", records.relist(project, was, {**maintainer, "shared": True}))
    transaction.check("account", account_records.key(to), *ownership.active())
    # The one becomes an owner, unless already one; the other is none any more.
    by = -records.owners(seen.target["role"])
    version = seen.item["version"]
    transaction.add("record", records.count(project, owners=by, version=version, holder=(was, to)))
    return ownership.hand_over(transaction, project, seen.item, to)
