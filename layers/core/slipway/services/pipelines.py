"""Pipelines: reading and replacing a project's stages, and showing what is live in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import Page
from slipway.domain.pipeline import NewPipeline, Pipeline, StageState
from slipway.errors import (
    Busy,
    FieldError,
    Invalid,
    NotFound,
    PreconditionFailed,
    ProjectGoing,
)
from slipway.store import environment_records, project_records, table
from slipway.store import pipeline_records as records
from slipway.store.table import Transaction, TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Container

    from slipway.domain.promotion_records import PipelineRecord
    from slipway.domain.records import EnvironmentRecord

_TRIES = 10


def get(project: ProjectId, principal: Principal) -> Pipeline:
    """The project's pipeline, without stages if it has none.

    Raises NotFound. One round trip; one more for a token of some environments, which sees no
    others.
    """
    *found, item = table.get(*authorization.keys(project, principal), records.key(project))
    authorization.authorized(project, principal, found)
    shown = _shown(project, item)
    if not principal.grant:
        return shown
    seen = {each["id"] for each in _living(records.environments(item), {}, principal)}
    stages = [
        stage.model_copy(
            update={"environment_ids": [each for each in stage.environment_ids if each in seen]}
        )
        for stage in shown.stages
    ]
    return shown.model_copy(update={"stages": stages})


def put(
    project: ProjectId,
    wanted: NewPipeline,
    principal: Principal,
    if_version: Container[int] | None,
) -> Pipeline:
    """Replace the project's pipeline; no-op if nothing differs.

    `if_version` has the versions that the caller expects, None is any. Raises NotFound, Forbidden,
    Invalid, ProjectGoing, PreconditionFailed, Busy. Two round trips; more if the pipeline changes
    in between.
    """
    named = {
        environment.e: environment
        for stage in wanted.stages
        for text in stage.environment_ids
        if (environment := _parsed(project, text))
    }
    keys = (*authorization.keys(project, principal), records.key(project))
    for _ in range(_TRIES):
        member, record, item, *environments = table.get(
            *keys, *map(environment_records.key, named.values())
        )
        within = authorization.authorized(project, principal, (member, record))
        before = _shown(project, item)
        if if_version is not None and before.version not in if_version:
            raise PreconditionFailed()
        if within["status"] != "active":
            raise ProjectGoing()
        wanted.require_unchanged(before)
        living = {each["id"] for each in environments if each and each["status"] != "destroyed"}
        # What the pipeline has already stays, so that what was read can be sent back.
        _require_known(wanted, living | records.environments(item))
        if before.stages == wanted.stages:
            return before
        if after := _write(project, wanted, principal, before.version):
            return after
    raise Busy(1)


def _parsed(project: ProjectId, text: str) -> EnvironmentId | None:
    """The id; None for what is no id of an environment of the project."""
    try:
        environment = ids.parse_environment(text)
    except NotFound:
        return None
    return environment if environment.p == project.p else None


def _require_known(wanted: NewPipeline, known: set[str]) -> None:
    """Raises Invalid, with a pointer to each environment that is not among the known ones."""
    detail = "is not the id of an environment of this project"
    faults = [
        FieldError(f"#/stages/{n}/environment_ids/{m}", detail)
        for n, stage in enumerate(wanted.stages)
        for m, text in enumerate(stage.environment_ids)
        if text not in known
    ]
    if faults:
        raise Invalid(faults)


def _write(
    project: ProjectId, wanted: NewPipeline, principal: Principal, was: int
) -> Pipeline | None:
    """The new pipeline; None if another request has changed it since."""
    at = timestamps.written(timestamps.now())
    fields: Any = {
        "project_id": str(project),
        "stages": wanted.numbered(),
        "updated_at": at,
        "updated_by": principal.author(),
        "change": {"action": "pipeline_changed", "actor": principal.actor, "at": at},
        "version": was + 1,
    }
    transaction = (
        Transaction()
        .add("member", authorization.still_may(project, principal))
        .add("project", project_records.still_active(project))
        .add("record", records.written(project, was, fields))
    )
    try:
        transaction.commit()
    except TransactionFailed as failed:
        if failed.get("member") is not None:
            raise authorization.lost(failed["member"], "project") from None
        if failed.get("project") is not None:
            raise ProjectGoing() from None
        return None
    return _shown(project, fields)


def _shown(project: ProjectId, item: PipelineRecord | None) -> Pipeline:
    fields: Mapping[str, Any] = item or {"project_id": str(project), "stages": []}
    return Pipeline.model_validate(fields)


# --- what is live -----------------------------------------------------------------------------


def stages(project: ProjectId, principal: Principal) -> Page[StageState]:
    """The stages in order, and what is live in their environments that are not destroyed.

    Raises NotFound. One round trip; two if an environment is not among the project's newest.
    """
    keys = (*authorization.keys(project, principal), records.key(project))
    (*found, item), [(newest, _)] = table.read(keys, records.living(project))
    authorization.authorized(project, principal, found)
    known = {each["id"]: each for each in newest}
    living = {each["id"]: each for each in _living(records.environments(item), known, principal)}
    return Page(list(_states(item, living)))


def _living(
    wanted: set[str], known: Mapping[str, EnvironmentRecord], principal: Principal
) -> Iterator[EnvironmentRecord]:
    """The environments that the principal may see and that are not destroyed. One round trip if
    some are not known."""
    missing = [ids.parse_environment(each) for each in sorted(wanted - known.keys())]
    read = table.get(*(environment_records.key(each) for each in missing))
    for each in (*(known[name] for name in sorted(wanted & known.keys())), *read):
        alive = each and each["status"] != "destroyed"
        if alive and authorization.may_see(each, principal):
            yield each


def _states(
    item: PipelineRecord | None, living: Mapping[str, EnvironmentRecord]
) -> Iterator[StageState]:
    before: list[EnvironmentRecord] = []
    for stage in records.stages(item):
        present = [living[each] for each in stage["environment_ids"] if each in living]
        ahead = max(
            (each for each in before if each.get("live_deployment_id")),
            key=lambda each: each.get("live_since", ""),
            default=None,
        )
        yield StageState.model_validate(
            {
                "name": stage["name"],
                "rules": stage["rules"],
                "environments": [_environment(each, ahead) for each in present],
            }
        )
        # A stage without environments is passed over.
        before = present or before


def _environment(item: EnvironmentRecord, ahead: EnvironmentRecord | None) -> dict[str, Any]:
    shown = environment_records.to_model(item).as_seen_at(timestamps.now())
    return {
        "environment_id": item["id"],
        "name": item["name"],
        "tier": shown.tier,
        "status": shown.status,
        "version": item.get("live_version"),
        "artifact": item.get("live_artifact"),
        "template": item.get("template"),
        "deployment_id": item.get("live_deployment_id"),
        "since": item.get("live_since"),
        "by": item.get("live_by"),
        "in_doubt": "live_in_doubt" in item,
        "behind": _behind(item, ahead),
    }


def _is_same(item: EnvironmentRecord, other: EnvironmentRecord) -> bool:
    """Whether a promotion would bring nothing from `other`."""
    names = ("live_version", "live_artifact", "template")
    return all(item.get(name) == other.get(name) for name in names)


def _behind(item: EnvironmentRecord, ahead: EnvironmentRecord | None) -> dict[str, Any] | None:
    if ahead is None or _is_same(item, ahead):
        return None
    history = [each.get("version") for each in ahead.get("live_history", ())]
    mine = item.get("live_version")
    return {
        "environment_id": ahead["id"],
        "version": ahead.get("live_version"),
        "deployments": history.index(mine) if mine and mine in history else None,
        "since": ahead.get("live_since"),
    }
