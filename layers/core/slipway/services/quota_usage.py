"""What a user has in use of each quota."""

from __future__ import annotations

from typing import Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain.ids import UserId
from slipway.domain.quota import Quota, Quotas
from slipway.errors import no_such
from slipway.settings import Limits, limits
from slipway.store import account_records, quota_records, table
from slipway.store.table import Query

_PAGE = 1000


def of_user(user_id: UserId, principal: Principal) -> Quotas:
    """The user's quotas, for administrators and the user.

    Raises NotFound for all others, as if there were no such user. One round trip, and one for each
    further 1,000 environments or deployments.
    """
    counters = (quota_records.projects_of(user_id), quota_records.templates_of(user_id))
    slots = (quota_records.ENVIRONMENT, quota_records.DEPLOYMENT)
    queries = [Query(f"QUOTA#{user_id}", f"{kind}#", _PAGE) for kind in slots]
    [found, own, *counted], pages = table.read(
        (account_records.key(user_id), authorization.account(principal), *counters), *queries
    )
    is_admin = bool(own and own["platform_role"] == "admin")
    if not found or (user_id != principal.user_id and not is_admin):
        raise no_such("user")
    projects, templates = (max(int(each["used"]), 0) if each else 0 for each in counted)
    environments, deployments = (
        sum(1 for _ in table.every(query, page)) for query, page in zip(queries, pages, strict=True)
    )
    used = {
        "projects": projects,
        "templates": templates,
        "environments": environments,
        "deployments": deployments,
    }
    return Quotas(user_id=user_id, quotas=[_quota(*each) for each in used.items()])


def _quota(name: Any, used: int) -> Quota:
    field = f"{name}_per_user"
    return Quota(
        name=name, used=used, limit=getattr(limits(), field), parameter=Limits.parameter(field)
    )
