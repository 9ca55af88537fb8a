"""Records of people: accounts, sessions, links and invitations, as slipway.domain.records.

The types exist for the type checker alone. Import them under TYPE_CHECKING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal, NotRequired, TypedDict

    class AccountChange(TypedDict):
        """Why an account was last written. `actor` is a user's id, or `operator`."""

        action: Literal[
            "registered",
            "linked",
            "appointed",
            "disabled",
            "enabled",
            "signed_out_everywhere",
            "password_changed",
            "password_reset",
        ]
        actor: str
        at: str

    class IdentityFields(TypedDict):
        """Who somebody is in the company's sign-in."""

        issuer: str
        subject: str

    class AccountRecord(TypedDict):
        """A user. A session's token is valid only if it is of the current `generation`, 0 at first.

        `email` is in lower case, and `written_as` how its owner wrote it, if that differs.
        `token_generation`, `tokens_changed`: slipway.store.token_records. `role_by_groups` and
        `role_by_hand`: slipway.domain.groups.Held.
        """

        id: str
        email: str
        written_as: NotRequired[str]
        platform_role: Literal["admin", "publisher", "member"]
        status: Literal["active", "disabled"]
        created_at: str
        email_verified_at: NotRequired[str]
        identity: NotRequired[IdentityFields]
        group_projects: NotRequired[set[str]]
        role_by_groups: NotRequired[str]
        role_by_hand: NotRequired[str]
        generation: NotRequired[int]
        token_generation: NotRequired[int]
        tokens_changed: NotRequired[int]
        change: AccountChange

    class FamilyRecord(TypedDict):
        """A session: slipway.store.family_records. `company`: the provider's token, encrypted."""

        id: str
        shared_digest: str
        token_digest: str
        generation: int
        created_at: str
        expires_at: str
        ends_at: str
        company: NotRequired[str]
        ended_at: NotRequired[str]
        # The last refresh that may be repeated: digests of its token and key, and until when.
        repeat_digest: NotRequired[str]
        repeat_until: NotRequired[str]
        # Until when a refresh that may be repeated is under way.
        refreshing_until: NotRequired[str]
        ttl: int

    class ResetRecord(TypedDict):
        """A link that sets a new password, while the account has the password of `of_entry`.

        Without a `user_id` it is of no account, and was made to take the same work.
        """

        email: str
        user_id: NotRequired[str]
        of_entry: NotRequired[str]
        expires_at: str
        ttl: int

    class DeviceRecord(TypedDict):
        """A sign-in on a device: slipway.store.device_records.

        `polled_at` (in milliseconds) is when the device last asked. `user_id`, `email`,
        `generation` are of the user who decided; `session_ends_at` is when the session in which it
        was approved ends, absent if the device gets no refresh token. `session_id` is the session
        that has begun.
        """

        secret_digest: str
        status: Literal["pending", "approved", "denied", "redeemed"]
        client_id: str
        asked_from: str
        asked_at: str
        expires_at: str
        interval: int
        ttl: int
        polled_at: NotRequired[int]
        user_id: NotRequired[str]
        email: NotRequired[str]
        generation: NotRequired[int]
        session_ends_at: NotRequired[str]
        session_id: NotRequired[str]

    class InvitationRecord(TypedDict):
        """`mailed`: the secret was sent to the address, so knowing it proves the address."""

        id: str
        email: str
        platform_role: Literal["admin", "publisher", "member"]
        token_hash: str
        mailed: bool
        invited_by: str
        created_at: str
        expires_at: str
        ttl: int
        project_id: NotRequired[str]
