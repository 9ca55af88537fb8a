"""Records of pipelines and promotions, one type for each kind of item (slipway.domain.records).

The types exist for the type checker alone. Import them under TYPE_CHECKING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Literal, NotRequired, TypedDict

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

    class SourceRecord(TypedDict):
        """Where a promotion comes from, as it was then."""

        environment_id: str
        environment_name: str
        deployment_id: str
        tier: str

    class TargetRecord(TypedDict):
        """What came of a promotion in one environment: a deployment, or a refusal with its code."""

        environment_id: str
        environment_name: str
        tier: str
        status: Any
        deployment_id: NotRequired[str]
        code: NotRequired[str]
        reason: NotRequired[str]

    class PromotionRecord(TypedDict):
        """A promotion. `revision` grows with each write; `version` is what is promoted."""

        id: str
        project_id: str
        source: SourceRecord
        version: str
        artifact: NotRequired[str]
        template: NotRequired[str]
        reason: NotRequired[str]
        targets: list[TargetRecord]
        created_at: str
        created_by: str
        made_by: NotRequired[AuthorRecord]
        finished_at: NotRequired[str]
        change: PromotionChangeRecord
        revision: int
        due: NotRequired[str]
        due_at: NotRequired[str]
        ttl: NotRequired[int]

    class PromotionChangeRecord(TypedDict):
        """Why a promotion was last written; `actor` is who promoted, or a deployment."""

        action: Literal["promoted", "target_changed"]
        actor: str
        at: str
