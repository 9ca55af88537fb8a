"""Principals: the callers of the API, and what they ask to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.domain.records import AuthorRecord
    from slipway.domain.rights import Grant, Kind
    from slipway.store.sessions import Session


@dataclass(frozen=True)
class Principal:
    """An authenticated caller, who asks to do `action` (slipway.access.policy).

    The principal has the rights of the member with the id `user_id`: a user, or the trust of a
    workload. A token has its user's rights within its grant.
    """

    user_id: str
    action: str
    session: Session | None = None

    @property
    def id(self) -> str:
        """The actor's id: the user's, the token's or the trust's."""
        return self.session.author if self.session else self.user_id

    @property
    def actor(self) -> str:
        """The author of a change, as records and events name it."""
        return self.id

    @property
    def kind(self) -> Kind:
        """The kind of caller."""
        return self.session.kind if self.session else "user"

    @property
    def is_person(self) -> bool:
        """Whether it is a person in a session."""
        return self.kind == "user"

    @property
    def is_session(self) -> bool:
        """Whether it is known, before the first round trip, that no grant limits it."""
        return self.session is None or not self.session.may_have_grant

    @property
    def is_machine(self) -> bool:
        """Whether it needs a person for what is destructive. Known once the first round trip is
        done."""
        return self.kind in ("agent", "ci", "workload")

    @property
    def grant(self) -> Grant | None:
        """What limits it: None for a person. Known once the request's first round trip is done."""
        return self.session.grant if self.session else None

    @property
    def name(self) -> str:
        """The name for people to read. Known once the request's first round trip is done."""
        return self.session.name if self.session else ""

    def author(self) -> AuthorRecord:
        """Who makes something, as records name it: `id`, `kind` and, if it is known, `name`."""
        author: AuthorRecord = {"id": self.id, "kind": self.kind}
        return {**author, "name": self.name} if self.name else author

    def made(self) -> dict[str, Any]:
        """What the record of a thing that the principal creates says of it."""
        return {"created_by": self.user_id, "made_by": self.author()}

    def asking(self, action: str) -> Principal:
        """The same caller, who asks to do something else."""
        return replace(self, action=action)
