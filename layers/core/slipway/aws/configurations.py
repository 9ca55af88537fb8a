"""The configurations of environments in the parameter store: one parameter for each name.

A version is below `/<stack>/configurations/<scope>/<number>/`. The scope is a segment of its own,
so the boundary of environments' roles can name it exactly, and a version's path is its own, so what
runs reads the version that it was deployed with. A version never changes: what is there is right.

Variables are Strings, secrets SecureStrings with AWS's own key. All are of the standard tier, which
costs nothing, and of which an account has 10,000 in a region. The store takes few writes a second
from all of an account, so writing stops when its time is up and goes on in another call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from slipway import aws
from slipway.aws import secret_inputs, secret_values
from slipway.domain import scope, timestamps
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

# A page of GetParametersByPath, and what one call reads or deletes.
_AT_ONCE = 10


class Configured(NamedTuple):
    """What a version consists of: the values of variables, and the places of secrets' values."""

    variables: Mapping[str, str]
    secrets: Mapping[str, str]

    @property
    def names(self) -> set[str]:
        return {*self.variables, *self.secrets}


def path(environment_id: str, number: int) -> str:
    """The path of a version, with a slash at its end; empty for 0, which is no version."""
    return f"{_below(environment_id)}/{number}/" if number else ""


def _below(environment_id: str) -> str:
    return f"/{settings().stack}/configurations/{scope.of(environment_id)}"


def write(environment_id: str, number: int, configured: Configured, within: timedelta) -> int:
    """Write what is missing of a version, for so long. Returns how many names are still missing.

    Repeating it goes on. A call for each name, and one for each ten that are there, and for each
    ten secrets. Raises DriverFault if the store does not answer, unless something was written
    before; DriverRefused.
    """
    until = timestamps.now() + within
    below = path(environment_id, number)
    there = {each.removeprefix(below) for each in _names(below)}
    secrets = {name: at for name, at in configured.secrets.items() if name not in there}
    variables = {name: v for name, v in configured.variables.items() if name not in there}
    left = len(secrets) + len(variables)
    for kind, values in _in_parts(variables, secrets):
        with secret_inputs.known(values if kind == "SecureString" else {}):
            for name, value in values.items():
                if timestamps.now() > until:
                    return left
                try:
                    _put(below + name, kind, value)
                except DriverFault:
                    # The store is slow for all of the account, and this call got on.
                    if left < len(secrets) + len(variables):
                        return left
                    raise
                left -= 1
    return left


def _in_parts(
    variables: Mapping[str, str], secrets: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The values by the kind of parameter that they become. Secrets are read as they are needed."""
    yield "String", variables
    names = sorted(secrets)
    for start in range(0, len(names), _AT_ONCE):
        some = {name: secrets[name] for name in names[start : start + _AT_ONCE]}
        yield "SecureString", secret_values.read(some)


def _put(name: str, kind: str, value: str) -> None:
    """Write a parameter, unless it is there: another call for this version has written it then."""
    request = {"Name": name, "Value": value, "Type": kind, "Tier": "Standard"}
    try:
        aws.call("ssm", "put_parameter", **request)
    except DriverRefused as error:
        if not error.says("ParameterAlreadyExists"):
            raise


def remove(environment_id: str, number: int, until: datetime) -> bool:
    """Delete a version until then; whether all of it is gone. Idempotent. Raises DriverFault."""
    return _remove(path(environment_id, number), until)


def remove_all(environment_id: str, until: datetime) -> bool:
    """Delete every version of the environment, as `remove`."""
    return _remove(f"{_below(environment_id)}/", until)


def forget(environment_id: str, numbers: Iterable[int], name: str) -> None:
    """Delete a name from these versions. Idempotent. Raises DriverFault."""
    names = [path(environment_id, number) + name for number in numbers]
    with _deleting():
        for start in range(0, len(names), _AT_ONCE):
            aws.call("ssm", "delete_parameters", Names=names[start : start + _AT_ONCE])


def _remove(below: str, until: datetime) -> bool:
    with _deleting():
        # All names are read first, because a page goes on after names that must still be there.
        for names in list(_pages(below)):
            if timestamps.now() > until:
                return False
            if names:
                aws.call("ssm", "delete_parameters", Names=names)
    return True


@contextmanager
def _deleting() -> Iterator[None]:
    """Turn a refusal into a fault, because only missing rights cause one."""
    try:
        yield
    except DriverRefused as error:
        raise DriverFault(f"The configuration could not be deleted: {error}") from error


def _names(below: str) -> Iterator[str]:
    for page in _pages(below):
        yield from page


def _pages(below: str) -> Iterator[list[str]]:
    """The names of all parameters below the path, at most ten in a page."""
    request = {"Path": below, "Recursive": True, "MaxResults": _AT_ONCE}
    for page in aws.pages("ssm", "get_parameters_by_path", **request):
        yield [each["Name"] for each in page["Parameters"]]
