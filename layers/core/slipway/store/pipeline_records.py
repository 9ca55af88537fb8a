"""Pipeline records: a project's stages, in one item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.store import table
from slipway.store.listed import INDEX, LIVE
from slipway.store.table import Fields, Key, Query, Update

if TYPE_CHECKING:
    from slipway.domain.promotion_records import PipelineRecord, StageRecord

# The project's newest environments, among which those of its stages usually are.
_LIKELY = 100
_FIRST, _LAST = "!", "~"


def key(project: ProjectId | EnvironmentId) -> Key:
    """The key of the pipeline of the project, or of the environment's project."""
    return Key(f"PROJECT#{project.p}", "PIPELINE")


def stages(item: PipelineRecord | None) -> list[StageRecord]:
    """The stages, in order; none without a pipeline."""
    return item["stages"] if item else []


def environments(item: PipelineRecord | None) -> set[str]:
    """The ids of the environments in the stages."""
    return {each for stage in stages(item) for each in stage["environment_ids"]}


def living(project: ProjectId) -> Query:
    """The query for the project's environments that are not destroyed, from the index."""
    between = (_FIRST, _LAST)
    return Query(LIVE + project.p, "", _LIKELY, newest_first=True, between=between, by_index=INDEX)


def written(project: ProjectId, was: int, fields: Fields) -> Update:
    """The write of the pipeline, if its version is still `was`, 0 for none."""
    expression, values = table.setting(fields)
    condition = "version = :was" if was else "attribute_not_exists(pk)"
    found: Mapping[str, Any] = {**values, "was": was} if was else values
    return Update(key(project), expression, found, condition)
