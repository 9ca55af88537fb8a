"""What a promotion reads, and whether its source can be promoted.

The source and the targets are authorized one by one, as by a GET of each, before anything else of
the request is looked at: so a promotion reveals no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.promotion import NewPromotion
from slipway.errors import FieldError, Invalid, NotFound
from slipway.errors.promotions import SourceNotReady
from slipway.services import rollout_queue
from slipway.services.rollout_queue import View
from slipway.store import (
    deployment_records,
    environment_records,
    idempotency,
    pipeline_records,
    queue_records,
    table,
)
from slipway.store.table import Check, Fields, Found, Key

if TYPE_CHECKING:
    from slipway.domain.promotion_records import PipelineRecord
    from slipway.domain.records import EnvironmentRecord, MemberRecord


@dataclass(frozen=True)
class Source:
    """What is promoted: the live state of an environment, when it was read."""

    environment: EnvironmentId
    record: EnvironmentRecord

    @property
    def content(self) -> Fields:
        """What a deployment of it brings."""
        return {name: self.record.get(f"live_{name}") for name in environment_records.LIVE_FIELDS}

    def unchanged(self) -> Check:
        """The part of a transaction that fails unless the same is live, and certain."""
        values = {"live": self.record["live_deployment_id"], "running": "running"}
        condition = "#status = :running AND live_deployment_id = :live"
        condition += " AND attribute_not_exists(live_in_doubt)"
        return Check(environment_records.key(self.environment), condition, values)


@dataclass(frozen=True)
class Read:
    """The state before a promotion. `views` are those of the targets, `slots` the pages of the
    slots in use, and `membership` is the principal's."""

    source: Source
    views: list[View]
    slots: list[Found]
    membership: MemberRecord


@dataclass(frozen=True)
class _Named:
    """What the request names: the source, an environment or what is live in it, and the targets."""

    source: EnvironmentId | DeploymentId
    targets: list[EnvironmentId]

    @property
    def environment(self) -> EnvironmentId:
        """The source's environment."""
        named = self.source
        return named.environment if isinstance(named, DeploymentId) else named


def read(wanted: NewPromotion, principal: Principal) -> Read:
    """The source, which is ready, and the targets, to which the principal may deploy.

    Raises NotFound, Forbidden, Invalid, SourceNotReady; Done if the request was carried out before.
    One round trip; one more if the source must have been live for some time and its record does not
    say since when.
    """
    named = _Named(_parsed(wanted.source), [ids.parse_environment(each) for each in wanted.to])
    looking = principal.asking("environments:read")
    of_source = authorization.keys(named.source, looking)
    mark = idempotency.keys()
    keys = [*of_source, pipeline_records.key(named.environment), *mark]
    keys += _keys(named, principal)
    places = [queue_records.first_places(each) for each in named.targets]
    claim = rollout_queue.claim_for(named.environment, principal)
    found, pages = table.read(keys, *places, *claim.queries)
    several, (pipeline, *rest) = found[: len(of_source)], found[len(of_source) :]
    record = authorization.authorized(named.source, looking, several)
    targets = list(_authorized(named, principal, rest[len(mark) :]))
    idempotency.check_replayed(*rest[: len(mark)])
    _require_related(named)
    deployment: Any = record if isinstance(named.source, DeploymentId) else None
    source = Source(named.environment, several[-1])
    _require_ready(source, named.source)
    _require_soaked(source, _soak(pipeline, named), deployment)
    views = [
        View(target, queue_records.certainly_in_order(target, lock, page), claim)
        for (target, lock), page in zip(targets, pages, strict=False)
    ]
    return Read(source, views, pages[len(views) :], rest[len(mark)])


def _keys(named: _Named, principal: Principal) -> Iterator[Key]:
    """What is read for each target: the membership, its record and its lock."""
    for each in named.targets:
        yield from authorization.keys(each, principal)
        yield queue_records.lock(each)


def _authorized(
    named: _Named, principal: Principal, found: Sequence[Any]
) -> Iterator[tuple[EnvironmentRecord, Any]]:
    """The record and the lock of each target. Raises NotFound, Forbidden."""
    for n, each in enumerate(named.targets):
        membership, record, lock = found[3 * n : 3 * n + 3]
        yield authorization.authorized(each, principal, (membership, record)), lock


def _parsed(text: str) -> EnvironmentId | DeploymentId:
    """Raises NotFound for what is the id of no environment and no deployment."""
    try:
        return ids.parse_environment(text)
    except NotFound:
        return ids.parse_deployment(text)


def _require_related(named: _Named) -> None:
    """Raises Invalid for a target of another project, and for the source itself."""
    faults = []
    for n, each in enumerate(named.targets):
        if each.p != named.environment.p:
            faults.append(FieldError(f"#/to/{n}", "must be in the project of the source"))
        elif each == named.environment:
            faults.append(FieldError(f"#/to/{n}", "is the source itself"))
    if faults:
        raise Invalid(faults)


# --- whether it is ready ----------------------------------------------------------------------


def _require_ready(source: Source, named: EnvironmentId | DeploymentId) -> None:
    """Raises SourceNotReady unless the source runs, and what is live in it is certain and what was
    named."""
    record = source.record
    name, live = record["name"], record.get("live_deployment_id")
    status = environment_records.to_model(record).as_seen_at(timestamps.now()).status
    fault = ""
    if status != "running":
        fault = f"{name} is {status}. Promote from an environment that runs."
    elif live is None or "live_version" not in record:
        fault = f"No version is live in {name}. Deploy one first."
    elif doubt := record.get("live_in_doubt"):
        fault = (
            f"It is not certain what is live in {name}, because {doubt} failed and could not be "
            "taken back. Deploy again."
        )
    elif isinstance(named, DeploymentId) and str(named) != live:
        fault = f"{named} is not live in {name}, but {live} is. Promote that."
    if fault:
        raise SourceNotReady(fault, record["id"])


def _soak(pipeline: PipelineRecord | None, named: _Named) -> int:
    """For how many seconds the source must have been live: the longest time that the stages of the
    source and of the targets ask for."""
    concerned = {str(named.environment), *map(str, named.targets)}
    return max(
        (
            stage["rules"].get("min_soak", 0)
            for stage in pipeline_records.stages(pipeline)
            if concerned.intersection(stage["environment_ids"])
        ),
        default=0,
    )


def _require_soaked(source: Source, seconds: int, deployment: Any) -> None:
    """Raises SourceNotReady unless the same has been live for so many seconds."""
    if not seconds:
        return
    record, now = source.record, timestamps.now()
    since = record.get("live_since")
    if since is None:
        # It went live in an earlier release. Its deployment knows when.
        live = ids.parse_deployment(record["live_deployment_id"])
        found = deployment or deployment_records.find(live)
        since = (found or {}).get("finished_at") or record["updated_at"]
    ready = datetime.fromisoformat(since) + timedelta(seconds=seconds)
    if ready > now:
        at, left = timestamps.written(ready), int((ready - now).total_seconds()) + 1
        raise SourceNotReady(
            f"{record['live_version']} must have been live in {record['name']} for {seconds} s, "
            f"which is so at {at}. Try again then.",
            record["id"],
            at,
            left,
        )
