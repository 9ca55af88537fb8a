"""Errors that the caller cannot correct: of the infrastructure, and between Slipway's processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors.base import SlipwayError


class StaleWrite(SlipwayError):
    code = "stale_write"
    title = "Another process has decided this first."


class GuessWrong(SlipwayError):
    code = "guess_wrong"
    title = "A name in the path leads to another object by now."


class Canceled(SlipwayError):
    code = "canceled"
    title = "The rollout was canceled."


class ConfirmationNeeded(SlipwayError):
    """`principal` asks to do it with `target`, whose record is `record`."""

    code = "confirmation_needed"
    title = "A person has to confirm this first."

    def __init__(self, principal: Any, target: Any, record: Mapping[str, Any], why: str) -> None:
        super().__init__(why)
        self.principal = principal
        self.target = target
        self.record = record


class DriverRefused(SlipwayError):
    """`remains`: the resources that could not be deleted, if the driver knows them.

    `phrases`: what AWS's message said of the phrases that Slipway looks for. The text may lack
    them, because secrets in it are masked.
    """

    phrases: frozenset[str] = frozenset()

    code = "driver_refused"
    title = "The infrastructure refused the operation."

    def __init__(self, detail: str = "", remains: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.remains = remains

    def says(self, phrase: str) -> bool:
        """Whether AWS's message has the phrase."""
        return phrase in self.phrases or phrase in str(self)


class RolledBack(DriverRefused):
    code = "rolled_back"
    title = "The infrastructure refused the change and rolled it back."


class StackGone(DriverRefused):
    code = "stack_gone"
    title = "The environment's stack no longer exists."


class Fault(SlipwayError):
    code = "fault"
    title = "An error on our side. Try again."


class DriverFault(Fault):
    code = "driver_fault"
    title = "AWS did not answer as expected. Try again after Retry-After."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}


class StoreUnavailable(Fault):
    code = "store_unavailable"
    title = "The table did not answer. Try again after Retry-After."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}


class Bug(Fault):
    code = "internal_error"
    title = "An error in Slipway. Report the request_id; the log has the details."
