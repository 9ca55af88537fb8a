"""Refusals of changes to variables, secrets and configurations."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.errors.base import Conflict, FieldError


class NameInUse(Conflict):
    """`errors` has a pointer to each name that is in use for the other kind."""

    code = "name_in_use"
    title = "A name cannot be both a variable and a secret. Remove it, or choose another name."

    def __init__(self, fields: Sequence[FieldError]) -> None:
        super().__init__(f"{fields[0].pointer}: {fields[0].detail}")
        self._fields = tuple(fields)

    @property
    def fields(self) -> Sequence[FieldError]:
        return self._fields


class SecretsGone(Conflict):
    """`names`: the secrets whose values are no longer kept."""

    code = "secrets_gone"
    title = (
        "Values of this configuration are no longer kept. Set these secrets, and change the rest."
    )

    def __init__(self, number: int, names: Sequence[str]) -> None:
        super().__init__(
            f"Configuration {number} has secrets whose values were purged or replaced too often: "
            f"{', '.join(names)}. Set them, and change the variables that differ.",
            names=list(names),
        )
