"""Changes of a level: what is read for one, what it must not break, and how it is written.

`OwnLevel` is that of an environment, whose change makes its next configuration. `SharedLevel` is
that of a project or of one of its tiers: its change is one write, whatever the number of
environments below, each of which makes its own configuration when it is deployed next.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from slipway.access import authorization, policy
from slipway.domain import configuration, ids, timestamps
from slipway.domain.configuration import Levels
from slipway.domain.configuration_rules import in_use, require_room
from slipway.domain.environment import TAKES_DEPLOYMENTS
from slipway.domain.records import change as record_change
from slipway.domain.rights import TIERS, tier_of
from slipway.errors import Busy, EnvironmentGoing, ProjectGoing
from slipway.errors.configurations import NameInUse
from slipway.services import configuration as configurations
from slipway.store import (
    actions,
    audit,
    configuration_records,
    environment_records,
    idempotency,
    project_records,
    table,
)
from slipway.store.table import Action, Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.access.principal import Principal
    from slipway.domain.configuration import Content, Level
    from slipway.domain.fields import ResponseModel
    from slipway.domain.ids import EnvironmentId, ProjectId
    from slipway.domain.records import EnvironmentRecord, ProjectRecord
    from slipway.domain.rights import Tier
    from slipway.services.quotas import Claim
    from slipway.store.configuration_records import Scope

# Twenty changes at once take twenty turns at most; each loser reads again.
_TRIES = 60
_MOST_REASON = 200
_RECORDING = "SET change = :change, updated_at = :at, version = version + :one"


@dataclass(frozen=True)
class Seen:
    """What was read: the record of the environment or the project, and the levels."""

    record: Any
    levels: Levels
    level: Level
    claim: Claim | None = None


@dataclass(frozen=True)
class Written:
    """A change that is written. `number` is that of the configuration, or the level's version."""

    number: int
    content: Content
    deployment_id: str | None = None


Shows = Callable[[Written], "ResponseModel"]
"""The answer to the request that made a change."""


class Target(ABC):
    """A level that a principal reads or changes."""

    scope: Scope
    principal: Principal

    @abstractmethod
    def read(self) -> Seen:
        """One round trip. Raises NotFound, Forbidden."""

    @abstractmethod
    def content(self, seen: Seen, level: Level) -> Content:
        """What the level gives together with those above it."""

    @abstractmethod
    def reached(self, seen: Seen, level: Level) -> Iterable[Content]:
        """Everything that has to stay within the limits if the level becomes this."""

    @abstractmethod
    def require_alive(self, seen: Seen) -> None:
        """Raises EnvironmentGoing, ProjectGoing."""

    @abstractmethod
    def write(
        self, seen: Seen, level: Level, reason: str, parts: Mapping[str, Action], shows: Shows
    ) -> Written | None:
        """Write the level, with these further parts. None if something has changed meanwhile."""

    def change(
        self,
        changing: Callable[[Seen], tuple[Level, str] | None],
        shows: Shows,
        parts: Mapping[str, Action] | Callable[[], Mapping[str, Action]] = dict,
        first: Seen | None = None,
    ) -> Written:
        """Change the level, and return what is so afterwards.

        `changing` returns the level as it will be and the reason, or None if nothing differs; it is
        called again, with what is there then, if others change it at the same time. `first` is what
        has been read already. `shows` makes the answer that a repeated request gets. Two round
        trips; two more for each turn that another one takes. Raises NotFound, Forbidden,
        EnvironmentGoing, ProjectGoing, Busy, and as `changing`.
        """
        seen = first
        for attempt in range(_TRIES):
            seen = seen or self.read()
            self.require_alive(seen)
            changed = changing(seen)
            if changed is None:
                written = self.unchanged(seen, shows)
            else:
                after, reason = changed
                self._require_allowed(seen, after)
                more = parts() if callable(parts) else parts
                written = self.write(seen, after, reason, more, shows)
            if written:
                return written
            seen = None
            # Jitter needs no secure randomness.
            time.sleep(random.uniform(0, min(0.2, 0.005 * 2**attempt)))  # nosec B311
        raise Busy(1)

    @abstractmethod
    def unchanged(self, seen: Seen, shows: Shows) -> Written | None:
        """What is so if a change changes nothing. None as for `write`."""

    def _require_allowed(self, seen: Seen, after: Level) -> None:
        before = self.reached(seen, seen.level)
        for old, new in zip(before, self.reached(seen, after), strict=True):
            require_room(old, new)

    def require_free(
        self, seen: Seen, names: Iterable[str], kind: Literal["variables", "secrets"]
    ) -> None:
        """Raises NameInUse if a name is of this kind, at this level or at one that it meets."""
        wanted, taken = {*names}, "a variable" if kind == "variables" else "a secret"
        for content in self.reached(seen, seen.level):
            if fields := in_use(wanted, content[kind], taken):
                raise NameInUse(fields)


@dataclass(frozen=True)
class OwnLevel(Target):
    """The level of an environment. `restored`: the number of the configuration that a change of it
    brings back. `now`: a change queues a deployment of what is live, in the same transaction."""

    scope: EnvironmentId
    principal: Principal
    restored: int | None = None
    now: bool = False

    def read(self) -> Seen:
        keys = (*authorization.keys(self.scope, self.principal), *configurations.keys(self.scope))
        claim: Claim | None = None
        if self.now:
            # Imported here and below, because most changes wait for a deployment.
            from slipway.services import configuration_rollouts

            claim = configuration_rollouts.claim_for(self.scope, self.principal)
        (member, record, *found), slots = table.read(keys, *(claim.queries if claim else ()))
        item = authorization.authorized(self.scope, self.principal, (member, record))
        if claim:
            deploying = self.principal.asking("deployments:create")
            policy.permits(deploying.action)(deploying.grant)
            authorization.authorized(self.scope, deploying, (member, record))
            claim.see(slots)
        levels = configurations.levels(item, found)
        return Seen(item, levels, levels.own, claim)

    def content(self, seen: Seen, level: Level) -> Content:
        return seen.levels._replace(own=level).merged()

    def reached(self, seen: Seen, level: Level) -> Iterable[Content]:
        return [self.content(seen, level)]

    def require_alive(self, seen: Seen) -> None:
        status = environment_records.to_model(seen.record).as_seen_at(timestamps.now()).status
        if status not in (*TAKES_DEPLOYMENTS, "failed"):
            raise EnvironmentGoing(status)

    def unchanged(self, seen: Seen, shows: Shows) -> Written | None:
        record: EnvironmentRecord = seen.record
        written = Written(record.get("configuration", 0), seen.levels.merged())
        live, above = record.get("live_configuration", 0), record.get("configuration_levels", {})
        is_pending = written.number != live or seen.levels.versions() != above
        if not (seen.claim and is_pending):
            return written
        if waiting := self._applying(seen):
            # The request is repeated, because its answer was lost.
            return replace(written, deployment_id=waiting)
        deployment_id, accepting = self._deployment(seen, seen.claim)
        audit.note(target=record["id"], name=record["name"], before=None)
        audit.note(after={"configuration": written.number, "deployment": deployment_id})
        return self._commit(Transaction(accepting), written, deployment_id, shows)

    def _applying(self, seen: Seen) -> str | None:
        """The deployment that a change has queued and that still waits. One round trip if a change
        has queued one."""
        from slipway.store import deployment_records

        last = seen.record.get("applying")
        item = deployment_records.find(ids.parse_deployment(last)) if last else None
        # It is decided when one begins, so one that waits brings all there is then.
        is_waiting = item and not item.get("finished_at") and item.get("token") is None
        return last if is_waiting else None

    def _deployment(self, seen: Seen, claim: Claim) -> tuple[str, dict[str, Action]]:
        """The id of a deployment of what is live, and the parts that accept it."""
        from slipway.services import configuration_rollouts

        shown, accepting = configuration_rollouts.draft(
            self.scope, seen.record, self.principal, claim
        )
        parts = accepting.parts
        accepts = parts["environment"]
        assert isinstance(accepts, Update)  # as draft says
        parts["environment"] = actions.merged(accepts, {"applying": shown.id})
        return shown.id, parts

    def _commit(
        self, transaction: Transaction, written: Written, deployment_id: str | None, shows: Shows
    ) -> Written | None:
        written = replace(written, deployment_id=deployment_id)
        try:
            idempotency.commit(transaction, shows(written))
        except TransactionFailed as failed:
            if (member := failed.get("member")) is not None:
                raise authorization.lost(member, "environment") from None
            return None
        return written

    def write(
        self, seen: Seen, level: Level, reason: str, parts: Mapping[str, Action], shows: Shows
    ) -> Written | None:
        record: EnvironmentRecord = seen.record
        by, restored = self.principal.author(), self.restored
        made = configurations.new_version(
            record, seen.levels, by, reason, own=level, restored=restored
        )
        audit.note(target=record["id"], name=record["name"], before=None)
        audit.note(after={"configuration": made.number, "change": reason})
        change, deployment_id = self._record(record, made, reason), None
        tier, accepting = tier_of(record), dict[str, Action]()
        if seen.claim:
            deployment_id, accepting = self._deployment(seen, seen.claim)
            accepts = accepting.pop("environment")
            assert isinstance(accepts, Update)
            change = actions.both(change, accepts)
        transaction = Transaction(
            {
                **accepting,
                "environment": change,
                "member": authorization.still_may(self.scope, self.principal, tier),
                **made.actions,
                **parts,
            }
        )
        written = Written(made.number, made.content)
        return self._commit(transaction, written, deployment_id, shows)

    def _record(self, record: EnvironmentRecord, made: configurations.Made, reason: str) -> Update:
        now = timestamps.written(timestamps.now())
        text = f"configuration {made.number}: {reason}"
        values: dict[str, Any] = {
            **made.fields,
            **made.values,
            "change": record_change("configured", self.principal.author(), now, text),
            "at": now,
            "one": 1,
            "status_was": record["status"],
        }
        same_tier = "attribute_not_exists(tier)"
        if tier := record.get("tier"):
            same_tier, values["tier_was"] = "tier = :tier_was", tier
        return Update(
            environment_records.key(self.scope),
            _RECORDING + "".join(f", {name} = :{name}" for name in made.fields),
            values,
            f"{made.condition} AND #status = :status_was AND {same_tier}",
        )


@dataclass(frozen=True)
class SharedLevel(Target):
    """The level of a project, or of one of its tiers."""

    project: ProjectId
    tier: Tier | None
    principal: Principal

    @property
    def scope(self) -> tuple[ProjectId, Tier | None]:  # type: ignore[override]
        return self.project, self.tier

    def read(self) -> Seen:
        keys = authorization.keys(self.project, self.principal)
        where = configuration_records.project_keys(self.project)
        member, record, *found = table.get(*keys, *where)
        item = authorization.authorized(self.project, self.principal, (member, record), self.tier)
        whole, tiers = configurations.whole(configuration_records.of_project, found, where)
        levels = Levels(self.tier or TIERS[0], whole, tiers, configuration.empty())
        return Seen(item, levels, tiers[self.tier] if self.tier else whole)

    def content(self, seen: Seen, level: Level) -> Content:
        if self.tier:
            return self._with(seen, level).inherited()
        # No tier has anything to say about the level of the project itself.
        return seen.levels._replace(
            of_project=level, of_tiers=dict.fromkeys(TIERS, configuration.empty())
        ).inherited()

    def reached(self, seen: Seen, level: Level) -> Iterable[Content]:
        levels = self._with(seen, level)
        tiers = [self.tier] if self.tier else TIERS
        return [levels._replace(tier=tier).inherited() for tier in tiers]

    def _with(self, seen: Seen, level: Level) -> Levels:
        if self.tier:
            return seen.levels._replace(of_tiers={**seen.levels.of_tiers, self.tier: level})
        return seen.levels._replace(of_project=level)

    def require_alive(self, seen: Seen) -> None:
        if seen.record["status"] != "active":
            raise ProjectGoing()

    def unchanged(self, seen: Seen, shows: Shows) -> Written:
        return Written(seen.level["version"], self.content(seen, seen.level))

    def write(
        self, seen: Seen, level: Level, reason: str, parts: Mapping[str, Action], shows: Shows
    ) -> Written | None:
        record: ProjectRecord = seen.record
        after = cast("Level", {**level, "version": seen.level["version"] + 1})
        name = self.tier or "project"
        audit.note(target=record["id"], name=record["name"], before=None)
        audit.note(after={"level": name, "version": after["version"], "change": reason})
        transaction = Transaction(
            {
                "record": self._record(record, name, after["version"]),
                "member": authorization.still_may(self.project, self.principal, self.tier),
                **configuration_records.written(self.scope, seen.level, after),
                **parts,
            }
        )
        written = Written(after["version"], self.content(seen, after))
        try:
            idempotency.commit(transaction, shows(written))
        except TransactionFailed as failed:
            if (member := failed.get("member")) is not None:
                raise authorization.lost(member, "project") from None
            return None
        return written

    def _record(self, record: ProjectRecord, name: str, version: int) -> Update:
        before = record.get("configurations")
        condition, values = "attribute_not_exists(configurations)", {}
        if before:
            condition, values = "configurations = :before", {"before": before}
        return Update(
            project_records.key(self.project),
            "SET configurations = :after",
            {**values, "after": {**(before or {}), name: version}, "active": "active"},
            f"attribute_exists(pk) AND #status = :active AND {condition}",
        )


def reason_of(**changed: Iterable[str]) -> str:
    """What a change of names says of itself: `set A, B; removed C`, without values."""
    parts = [f"{verb} {', '.join(sorted(names))}" for verb, names in changed.items() if names]
    text = "; ".join(parts)
    return text if len(text) <= _MOST_REASON else f"{text[:_MOST_REASON]}…"
