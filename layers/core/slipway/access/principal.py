"""Principals: the callers of the API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Principal:
    """An authenticated caller: a signed-in user.

    The principal has the rights of the user with the id `user_id`. Tokens, workloads and agents
    will be principals too, with an `actor` of their own.
    """

    user_id: str

    @property
    def actor(self) -> str:
        """The author of a change, as records and events name it."""
        return self.user_id
