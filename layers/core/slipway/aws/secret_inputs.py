"""The values of NoEcho inputs: one SecureString in SSM for each, never in the table.

The values of a new environment are under its id; those of an update are under the environment's id
and a part of the update's own. So the old values exist until the update has succeeded, and the
record says which are in use. `place` is either of the two paths.

Values are written before the record that names them. If that record is never written, reconcile
deletes them (slipway.services.cleanup).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from slipway import aws
from slipway.aws import redaction
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

if TYPE_CHECKING:
    from slipway.domain.masking import Masker

_AT_ONCE = 10


def path(place: str, name: str) -> str:
    return f"{_below(place)}/{name}"


def _below(place: str) -> str:
    return f"/{settings().stack}/environments/{place}"


def places(environment: Mapping[str, Any]) -> dict[str, str]:
    """The place of each secret input that is in use, by the environment's record."""
    own, brought = environment["id"], environment.get("secret_places", {})
    return {name: brought.get(name, own) for name in environment.get("secret_inputs", ())}


def write(place: str, values: Mapping[str, str]) -> None:
    """Store the values. Raises DriverFault after deleting those that were stored."""
    try:
        with known(values):
            for name, value in values.items():
                request = {"Name": path(place, name), "Value": value, "Type": "SecureString"}
                aws.call("ssm", "put_parameter", **request, Overwrite=True)
    except (DriverFault, DriverRefused) as error:
        remove(place, values)
        raise DriverFault(f"The secret inputs could not be stored: {error}") from error


def read(places: Mapping[str, str]) -> dict[str, str]:
    """The values by name. Raises DriverFault; DriverRefused if one no longer exists."""
    names = {path(place, name): name for name, place in places.items()}
    found: dict[str, str] = {}
    for some in _some_at_once(names):
        answer = aws.call("ssm", "get_parameters", Names=some, WithDecryption=True)
        if answer["InvalidParameters"]:
            missing = ", ".join(names[each] for each in answer["InvalidParameters"])
            raise DriverRefused(f"The secret inputs no longer exist: {missing}")
        found |= {names[each["Name"]]: each["Value"] for each in answer["Parameters"]}
    return found


@contextmanager
def hidden(environment: Mapping[str, Any], *, also: bool = False) -> Iterator[None]:
    """Mask the environment's secret inputs in all that AWS says during the block.

    `environment` is its record. The values of all its updates are among them. They are read from
    the parameter store once there is a text to mask, if the record has secrets or with `also`: one
    call for ten values. If a value no longer exists, texts are withheld.
    """
    has_some = environment.get("secret_inputs") or (also and environment.get("template"))
    read = (lambda: _masker(environment)) if has_some else _no_secrets
    with redaction.hiding(environment["id"], read):
        yield


@contextmanager
def known(values: Mapping[str, str]) -> Iterator[None]:
    """Mask these values, which are not stored or not yet, in all that AWS says in the block."""
    from slipway.domain.masking import Masker

    with redaction.hiding("", lambda: Masker(values.values())):
        yield


def _no_secrets() -> Masker:
    from slipway.domain.masking import Masker

    return Masker(())


def _masker(environment: Mapping[str, Any]) -> Masker:
    """Raises DriverFault."""
    # Imported here, because few environments have secrets.
    from slipway.domain.masking import Masker

    wanted = {path(place, name) for name, place in places(environment).items()}
    try:
        found = _all_values(environment["id"])
    except DriverRefused:
        return Masker((), knows_all=False)
    return Masker(found.values(), knows_all=wanted <= found.keys())


def _all_values(place: str) -> dict[str, str]:
    """The values under the place, by path."""
    request = {"Path": _below(place), "Recursive": True, "WithDecryption": True}
    pages = aws.pages("ssm", "get_parameters_by_path", **request)
    return {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}


def remove(place: str, names: Iterable[str]) -> None:
    """Delete the values. Idempotent. Raises DriverFault."""
    _remove(path(place, name) for name in names)


def remove_all(place: str) -> None:
    """Delete everything under the place, including values of updates. Idempotent, like remove."""
    pages = aws.pages("ssm", "get_parameters_by_path", Path=_below(place), Recursive=True)
    _remove([each["Name"] for page in pages for each in page["Parameters"]])


def _remove(paths: Iterable[str]) -> None:
    try:
        for some in _some_at_once(paths):
            aws.call("ssm", "delete_parameters", Names=some)
    except DriverRefused as error:
        raise DriverFault(f"The secret inputs could not be deleted: {error}") from error


def _some_at_once(paths: Iterable[str]) -> list[list[str]]:
    every = sorted(paths)
    return [every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)]
