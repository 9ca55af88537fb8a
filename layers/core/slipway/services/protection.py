"""Protection: what a protected environment refuses.

A protected environment is deleted only by a maintainer who sends its name in `X-Confirm`. Its
lease still ends it. The project's record counts the environments that were ever protected, so that
a cascade fails if one was protected after it looked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.errors import ConfirmationRequired

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord


def require_confirmed(record: EnvironmentRecord, confirmed: str | None) -> None:
    """Raises ConfirmationRequired unless the environment is unprotected, or `confirmed` (the
    header `X-Confirm`) is its name."""
    if record.get("protected") and confirmed != record["name"]:
        raise ConfirmationRequired(record["name"])
