"""Refusals of promotions."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.errors.base import Conflict


class SourceNotReady(Conflict):
    """`environment_id`: the source. `ready_at`: when it will have been live for long enough."""

    code = "source_not_ready"
    title = "What is live in the source cannot be promoted now. Read the environment."

    def __init__(
        self,
        detail: str = "",
        environment_id: str = "",
        ready_at: str | None = None,
        seconds: int = 0,
    ) -> None:
        extra = {"environment_id": environment_id, "ready_at": ready_at}
        super().__init__(detail, **{name: each for name, each in extra.items() if each})
        self._seconds = seconds

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self._seconds)} if self._seconds else {}


class TemplateDiffers(Conflict):
    """`template`: the target's, and `source_template`: the source's; null for none."""

    code = "template_differs"
    title = "Source and target are of different templates. Send template false for the version."

    def __init__(self, template: str | None = None, source_template: str | None = None) -> None:
        mine = f"is of {template}" if template else "has no template"
        theirs = f"is of {source_template}" if source_template else "has no template"
        super().__init__(
            f"The target {mine} and the source {theirs}. Send `template: false` to promote the "
            "version alone.",
            template=template,
            source_template=source_template,
        )
