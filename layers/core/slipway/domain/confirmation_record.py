"""The record of a request that waits for a person, for the type checker alone
(slipway.domain.records)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NotRequired, TypedDict

    from slipway.domain.confirmation import Change

    class AskerRecord(TypedDict):
        """Who acts: a person, a token or a workload."""

        id: str
        kind: Any
        name: str

    class ConfirmationChange(TypedDict):
        """Why a confirmation was last written. `actor` is who did it, or what."""

        action: Change
        actor: str
        at: str

    class ConfirmationRecord(TypedDict):
        """A destructive request that waits for a person, or has waited.

        `request` is the JSON of a StoredRequest, whose body is a text, and `seen` what is bound of
        its target. `user_id` has the rights with which it is carried out, and `served_by` is the
        folder of the function that does it. `role` is what decides who may approve it: the action
        that it needs, in an environment of the tier, which `created_by` has created. `slot` is the
        number of the place that it holds among what its asker may leave undecided.
        """

        id: str
        project_id: str
        status: Any
        action: str
        target: str
        target_name: str
        tier: NotRequired[Any]
        created_by: NotRequired[str]
        protected: NotRequired[bool]
        reason: str
        request: str
        host: str
        served_by: str
        seen: dict[str, int]
        digest: str
        asked_by: AskerRecord
        user_id: str
        slot: str
        created_at: str
        expires_at: str
        updated_at: str
        decided_by: NotRequired[AskerRecord]
        decided_at: NotRequired[str]
        confirmed_name: NotRequired[str]
        rejection: NotRequired[str]
        finished_at: NotRequired[str]
        result: NotRequired[str]
        change: ConfirmationChange
        version: int
        due: NotRequired[str]
        due_at: NotRequired[str]
        ttl: NotRequired[int]
