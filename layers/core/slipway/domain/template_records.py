"""Records of templates, their versions and their use, for the type checker alone, as those in
slipway.domain.records."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal, NotRequired, TypedDict

    from slipway.domain.rights import Tier

    class TemplateRecord(TypedDict):
        name: str
        created_by: str
        created_at: str
        updated_at: str
        version: int

    class VersionRecord(TypedDict):
        """A version of a template; its body is in S3, at `key`."""

        template: str
        version: str
        state: Literal["draft", "published", "deprecated"]
        sha256: str
        media: str
        key: str
        checked_under: NotRequired[str]
        created_by: str
        created_at: str
        updated_at: str

    class TemplateUseRecord(TypedDict):
        """An environment's use of a template, as its record said when it had the version `seen`."""

        environment_id: str
        project_id: str
        name: str
        tier: NotRequired[Tier]
        version: str
        status: str
        seen: int
        ttl: NotRequired[int]
