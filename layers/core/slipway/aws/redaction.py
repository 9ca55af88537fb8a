"""Where texts of AWS enter Slipway, secret values leave them.

`slipway.aws.call` hands every answer of CloudFormation and every error to this module before it
returns or raises, so nothing that is logged, stored, returned or handed to a workflow has had a
secret in it. `hiding` names the secrets, around all code that works on an environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.domain.masking import Masker

# Words of CloudFormation, and names that no value of a parameter is part of. All else is text.
_STRUCTURE = frozenset(
    {
        *("StackId", "StackName", "StackStatus", "EventId", "ClientRequestToken", "NextToken"),
        *("LogicalResourceId", "ResourceType", "ResourceStatus", "OutputKey", "ParameterKey"),
        *("ChangeSetId", "ChangeSetName", "Status", "ExecutionStatus", "Action", "Replacement"),
        *("Scope", "RoleARN", "DetailedStatus", "StackDriftStatus", "StackResourceDriftStatus"),
        *("DetectionStatus", "StackDriftDetectionId", "DifferenceType", "ValidationStatus"),
        *("ResponseMetadata", "Capabilities", "ChangeType", "Type", "Attribute", "Name"),
        # A template's, in which no parameter has a place, and those that Slipway writes.
        *("Description", "Tags", "PropertyPath", "ModuleInfo", "TypeHierarchy"),
    }
)
_EXPLANATIONS = ("Reason", "Message")
# Sentences of CloudFormation on which Slipway decides, and which quote nothing.
_FIXED = ("The submitted information didn't contain changes.", "No updates are to be performed")

_Read = Callable[[], "Masker"]


class _Known:
    """The values of one scope. They are read when the first text has to be masked."""

    def __init__(self, owner: str, read: _Read) -> None:
        self.owner = owner
        self._read = read
        self._masker: Masker | None = None

    def text(self, text: str) -> str:
        if self._masker is None:
            token = _known.set(())
            try:
                self._masker = self._read()
            finally:
                _known.reset(token)
        return self._masker.text(text)


_known: ContextVar[tuple[_Known, ...]] = ContextVar("known", default=())


@contextmanager
def hiding(owner: str, read: _Read) -> Iterator[None]:
    """Mask these values, too, in what AWS says during the block.

    `read` is called at most once, and not at all if a block around this one hides the values of
    the same owner.
    """
    outer = _known.get()
    if owner and any(each.owner == owner for each in outer):
        yield
        return
    token = _known.set((*outer, _Known(owner, read)))
    try:
        yield
    finally:
        _known.reset(token)


def text(said: str) -> str:
    """The text without secret values, withheld outside of `hiding`.

    Raises what reading the values raises.
    """
    if not _known.get() and said:
        # Imported here, because nothing that is meant to be shown comes here.
        from slipway.domain.masking import WITHHELD

        return WITHHELD
    for each in _known.get():
        said = each.text(said)
    return said


def explanation(said: str, *, of_environments: bool = True) -> str:
    """An error of AWS without roles and account ids, and without secret values.

    `of_environments`: whether it may quote secrets of an environment.
    """
    # Imported here, because most answers explain nothing.
    from slipway.domain.masking import without_identities

    return without_identities(text(said) if of_environments or _known.get() else said)


def answer(value: Any, key: str = "") -> Any:
    """An answer of CloudFormation, with masks in all that is text of a template or a resource."""
    if key in _STRUCTURE:
        return value
    if isinstance(value, str):
        if value.startswith(_FIXED):
            return value
        return explanation(value) if key.endswith(_EXPLANATIONS) else text(value)
    if isinstance(value, dict):
        if value.get("PhysicalResourceId") == value.get("StackId", ""):
            # An event of the stack itself is known by that.
            return {
                name: each if name == "PhysicalResourceId" else answer(each, name)
                for name, each in value.items()
            }
        return {name: answer(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [answer(each, key) for each in value]
    return value


def error(raised: Exception) -> None:
    """Mask the texts of an exception in place, because its traceback may be logged."""
    if not _known.get():
        return
    raised.args = tuple(text(each) if isinstance(each, str) else each for each in raised.args)
    response = getattr(raised, "response", None)
    if isinstance(response, dict) and "Message" in response.get("Error", {}):
        response["Error"]["Message"] = text(str(response["Error"]["Message"]))
