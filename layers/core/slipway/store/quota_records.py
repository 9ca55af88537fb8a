"""Quotas in the table: counters, and numbered slots.

A counter is a number in an item that few requests write at the same time. Objects that many callers
make at the same time take a slot instead: an item of its own, of which a quota of n has n. Two
deployments of one user then write different items, so their transactions do not conflict.

Both change in the transaction that makes or ends what they count. A slot also names what holds it,
so one that outlived its holder can be found and freed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from slipway.domain.ids import ProjectId
from slipway.settings import limits
from slipway.store.table import Delete, Found, Key, Query, Update

ENVIRONMENT = "ENVIRONMENT"
DEPLOYMENT = "DEPLOYMENT"

# A larger quota is read from a random slot on, at most so many, instead of as a whole.
WINDOW = 200


# --- counters ---------------------------------------------------------------------------------


def projects_of(user_id: str) -> Key:
    """The key of the counter of the user's projects."""
    return Key(f"QUOTA#{user_id}", "PROJECTS")


def templates_of(user_id: str) -> Key:
    """The key of the counter of the user's templates."""
    return Key(f"QUOTA#{user_id}", "TEMPLATES")


def versions_of(template: str) -> Key:
    """The key of the counter of the template's versions."""
    return Key(f"QUOTA#{template}", "VERSIONS")


def count_project(user_id: str) -> Update:
    """Count one more project of the user, unless the quota is used up."""
    return _count(projects_of(user_id), limits().projects_per_user)


def count_template(user_id: str) -> Update:
    """Count one more template of the user, unless the quota is used up."""
    return _count(templates_of(user_id), limits().templates_per_user)


def count_version(template: str) -> Update:
    """Count one more version of the template, unless the quota is used up."""
    return _count(versions_of(template), limits().versions_per_template)


def _count(counter: Key, limit: int) -> Update:
    condition = "attribute_not_exists(used) OR used < :limit"
    return Update(counter, "ADD used :one, made :one", {"one": 1, "limit": limit}, condition)


def uncount(counter: Key, number: int = 1) -> Update:
    """Count less by this number.

    It has no condition: a wrong counter must not keep anything from ending.
    """
    return Update(counter, "ADD used :less", {"less": -number}, condition="")


def correct(counter: Key, found: Mapping[str, Any], used: int) -> Update:
    """Let a counter that was found to be wrong be `used`, unless it has changed since.

    `made` counts all that was ever counted, so that one that ends and one that is made do not look
    like no change.
    """
    values = {"used": used, "found": found["used"], "made": found["made"]}
    return Update(counter, "SET used = :used", values, "used = :found AND made = :made")


# --- slots ------------------------------------------------------------------------------------


class Slots(NamedTuple):
    """A quota of an owner, a user or a project, as slots. `quota` is a field of Limits.

    `start` is the first slot that `query` reads.
    """

    owner: str
    kind: str
    quota: str
    limit: int
    start: int

    def query(self) -> Query:
        """The query for the slots in use from `start` on."""
        after = slot(self.owner, self.kind, _number(self.start - 1)).sk if self.start else None
        return Query(f"QUOTA#{self.owner}", f"{self.kind}#", WINDOW, after)

    def free(self, found: Found) -> str | None:
        """A free slot among those that the query has found, None if it has found none."""
        items, after = found
        taken = {int(item["sk"].rpartition("#")[2]) for item in items}
        if not self.start and len(taken) >= self.limit:
            # More can be in use than there are slots, after the limit was lowered.
            return None
        last = self.limit if after is None else min(self.limit, max(taken))
        free = [number for number in range(self.start, last) if number not in taken]
        # Spreads the writers; nobody gains by guessing a number.
        return _number(random.choice(free)) if free else None  # nosec B311

    def elsewhere(self) -> Slots:
        """The same quota, read from another slot on."""
        return self._replace(start=_start(self.limit))

    def whole(self) -> Slots:
        """The same quota, read from its first slot on."""
        return self._replace(start=0)


def environments_of(user_id: str) -> Slots:
    """The environments that the user created and that are not destroyed."""
    return _slots(user_id, ENVIRONMENT, "environments_per_user")


def deployments_of(user_id: str) -> Slots:
    """The deployments that the user created and that have not ended."""
    return _slots(user_id, DEPLOYMENT, "deployments_per_user")


def deployments_in(project: ProjectId) -> Slots:
    """The deployments of the project that have not ended."""
    return _slots(str(project), DEPLOYMENT, "deployments_per_project")


def slot(owner: str, kind: str, number: str) -> Key:
    """The key of a slot."""
    return Key(f"QUOTA#{owner}", f"{kind}#{number}")


def kind_of(owner: str) -> str:
    """`project`, or `user` for a user and for a workload's trust, by the owner's id."""
    return "project" if owner.startswith("prj_") else "user"


def held(kind: str, record: Mapping[str, Any]) -> dict[str, Key]:
    """The slots that the record holds, by the kind of their owner: `user`, `project`."""
    slots = record.get("slots", {}).items()
    return {kind_of(owner): slot(owner, kind, number) for owner, number in slots}


def freed(kind: str, record: Mapping[str, Any]) -> dict[str, Delete]:
    """The parts of a transaction that free the slots of what ends. They have no condition: the
    record's own says that it ends only once, and a slot must not keep anything from ending."""
    return {f"{owner}_slot": Delete(key) for owner, key in held(kind, record).items()}


def no_slot(holder: str) -> Key:
    """The key of an item that does not exist, for records of an earlier release without slots."""
    return Key("QUOTA#none", holder)


def free_leftover(key: Key, holder: str) -> Delete:
    """Free a slot whose holder has ended, unless another one has it by now."""
    return Delete(key, "holder = :holder", {"holder": holder})


def _slots(owner: str, kind: str, quota: str) -> Slots:
    limit = getattr(limits(), quota)
    return Slots(owner, kind, quota, limit, _start(limit))


def _start(limit: int) -> int:
    return random.randrange(limit) if limit > WINDOW else 0  # nosec B311


def _number(number: int) -> str:
    return f"{number:06d}"
