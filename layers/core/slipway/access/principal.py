"""Principals: who calls the API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Principal:
    """A caller whose identity is proven: a user who signed in.

    `user_id` is whose rights it has. Tokens, workloads and agents will be principals too; then
    they differ in `actor`.
    """

    user_id: str

    @property
    def actor(self) -> str:
        """Who the records and events say made a change."""
        return self.user_id
