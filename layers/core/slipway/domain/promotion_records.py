"""Records of pipelines and promotions, one type for each kind of item (slipway.domain.records).

The types exist for the type checker alone. Import them under TYPE_CHECKING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    from slipway.domain.records import AuthorRecord

    class StageRecord(TypedDict):
        """A stage of a pipeline, as slipway.domain.pipeline.Stage."""

        name: str
        environment_ids: list[str]
        rules: dict[str, int]

    class PipelineRecord(TypedDict):
        """A project's stages, in order."""

        project_id: str
        stages: list[StageRecord]
        updated_at: str
        updated_by: AuthorRecord
        change: PipelineChangeRecord
        version: int

    class PipelineChangeRecord(TypedDict):
        """Why a pipeline was last written."""

        action: Literal["pipeline_changed"]
        actor: str
        at: str
