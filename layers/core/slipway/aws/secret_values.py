"""The values of secrets: one SecureString in SSM for each value, never in the table.

`place` is where a value is, below the stack's own path:

    environments/<environment>/secrets/<NAME>/<part>
    projects/<project>/<project or tier>/<NAME>/<part>

`part` is new for each value, so no value is ever overwritten: a change that is not carried out
leaves the values alone that configurations name. What a process leaves behind that dies in between,
reconcile removes by its clean-up record (slipway.services.cleanup).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from slipway import aws
from slipway.aws import redaction
from slipway.domain import ids
from slipway.domain.ids import EnvironmentId
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

if TYPE_CHECKING:
    from slipway.domain.ids import ProjectId
    from slipway.domain.rights import Tier

_AT_ONCE = 10


def new_place(scope: tuple[ProjectId, Tier | None] | EnvironmentId, name: str) -> str:
    """A place for a new value of the secret."""
    return f"{of_level(scope)}/{name}/{ids.new_part()}"


def of_level(scope: tuple[ProjectId, Tier | None] | EnvironmentId) -> str:
    """What the places of all secrets of the level begin with."""
    if isinstance(scope, EnvironmentId):
        return f"environments/{scope}/secrets"
    project, tier = scope
    return f"projects/{project}/{tier or 'project'}"


def path(place: str) -> str:
    """The name of the parameter that has the value at the place."""
    return f"/{settings().stack}/{place}"


def write(place: str, value: str) -> None:
    """Store a new value. One call. Raises DriverFault."""
    from slipway.domain.masking import Masker

    try:
        with redaction.hiding("", lambda: Masker([value])):
            aws.call("ssm", "put_parameter", Name=path(place), Value=value, Type="SecureString")
    except DriverRefused as error:
        raise DriverFault(f"The secret could not be stored: {error}") from error


def read(places: Mapping[str, str]) -> dict[str, str]:
    """The values by name, of the places by name. One call for each ten.

    Raises DriverFault; DriverRefused if one is no longer kept.
    """
    names = {path(place): name for name, place in places.items()}
    found: dict[str, str] = {}
    for some in _some_at_once(names):
        answer = aws.call("ssm", "get_parameters", Names=some, WithDecryption=True)
        if answer["InvalidParameters"]:
            missing = ", ".join(sorted(names[each] for each in answer["InvalidParameters"]))
            raise DriverRefused(f"The values of these secrets are no longer kept: {missing}")
        found |= {names[each["Name"]]: each["Value"] for each in answer["Parameters"]}
    return found


def remove(places: Iterable[str]) -> None:
    """Delete the values. Idempotent. One call for each ten. Raises DriverFault."""
    try:
        for some in _some_at_once(path(place) for place in places):
            aws.call("ssm", "delete_parameters", Names=some)
    except DriverRefused as error:
        raise DriverFault(f"The secrets could not be deleted: {error}") from error


def remove_all(below: str) -> None:
    """Delete all values whose places begin with this, a part of the path. Idempotent, as remove."""
    pages = aws.pages("ssm", "get_parameters_by_path", Path=path(below), Recursive=True)
    start = len(path(""))
    remove([each["Name"][start:] for page in pages for each in page["Parameters"]])


def _some_at_once(paths: Iterable[str]) -> list[list[str]]:
    every = sorted(paths)
    return [every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)]
