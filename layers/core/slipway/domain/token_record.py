"""The record of a token of the API, for the type checker alone (slipway.domain.records)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal, NotRequired, TypedDict

    class TokenRecord(TypedDict):
        """A token of the API, valid while its account has the same `token_generation`."""

        id: str
        name: str
        kind: Literal["personal", "ci", "agent"]
        hash: str
        scopes: list[str]
        project_ids: NotRequired[list[str]]
        environment_ids: NotRequired[list[str]]
        tiers: NotRequired[list[str]]
        generation: int
        created_with: NotRequired[str]
        created_at: str
        expires_at: str
        ttl: int
