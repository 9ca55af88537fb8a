"""Bodies that may be what GET has shown, with a field or two changed.

A client can send back what it has read as it is. The fields that a PATCH or PUT cannot change are
accepted if they are still as they are shown, and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr

from slipway.domain.fields import RequestModel, ResponseModel
from slipway.domain.json_values import is_same
from slipway.errors import FieldError, Invalid


class Resent(RequestModel):
    """A body to which a caller may add the read-only fields of the answer (`read_only`).

    `instead` says for some of them how they are changed.
    """

    instead: ClassVar[Mapping[str, str]] = {}
    _read_only: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def read_only_fields(cls, shown: Any) -> frozenset[str]:
        """The fields of the answer, of the type `shown`, that this body cannot set."""
        if not (isinstance(shown, type) and issubclass(shown, ResponseModel)):
            return frozenset()
        seen = {name for name, field in shown.model_fields.items() if not field.exclude}
        return frozenset(seen) - frozenset(cls.model_fields)

    @property
    def read_only(self) -> Mapping[str, Any]:
        """The read-only fields that were sent."""
        return self._read_only

    def with_read_only(self, fields: Mapping[str, Any]) -> Self:
        """The same, of a request that has sent these read-only fields."""
        self._read_only = fields
        return self

    def require_unchanged(self, shown: ResponseModel | None) -> None:
        """Raises Invalid, with a pointer to each, if read-only fields differ from what is shown.

        `shown` is None if there is no such object yet.
        """
        if not self._read_only:
            return
        current = shown.model_dump(mode="json") if shown else {}
        faults = [
            FieldError(f"#/{name}", self._detail(name, shown is not None))
            for name, value in self._read_only.items()
            if not is_same(value, current.get(name))
        ]
        if faults:
            raise Invalid(faults)

    def _detail(self, name: str, exists: bool) -> str:
        how = self.instead.get(name)
        if how:
            return f"cannot be changed here: {how}"
        if not exists:
            return "is read-only: omit it"
        return "is read-only and has another value now: omit it, or read the object again"
