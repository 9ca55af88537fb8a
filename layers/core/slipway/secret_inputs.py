"""The values of NoEcho inputs: SecureStrings of SSM, one each, never in the table.

They are written before the environment's record, and a note of them before that: if the record is
never written, reconcile removes them (slipway.store.leftovers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway import aws
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

_AT_ONCE = 10


def path(environment_id: str, name: str) -> str:
    return f"{_below(environment_id)}/{name}"


def _below(environment_id: str) -> str:
    return f"/{settings().stack}/environments/{environment_id}"


def write(environment_id: str, values: Mapping[str, str]) -> None:
    """Raises DriverFault; what was written by then is taken back."""
    try:
        for name, value in values.items():
            where = path(environment_id, name)
            aws.call(
                "ssm", "put_parameter", Name=where, Value=value, Type="SecureString", Overwrite=True
            )
    except (DriverFault, DriverRefused) as error:
        remove(environment_id, values)
        raise DriverFault(f"The secret inputs could not be stored: {error}") from error


def read(environment_id: str) -> dict[str, str]:
    """Raises DriverFault, DriverRefused."""
    pages = aws.pages(
        "ssm", "get_parameters_by_path", Path=_below(environment_id), WithDecryption=True
    )
    found = (each for page in pages for each in page["Parameters"])
    return {each["Name"].rpartition("/")[2]: each["Value"] for each in found}


def remove(environment_id: str, names: Iterable[str]) -> None:
    """Repeating it changes nothing. Raises DriverFault."""
    paths = [path(environment_id, name) for name in sorted(names)]
    try:
        for start in range(0, len(paths), _AT_ONCE):
            aws.call("ssm", "delete_parameters", Names=paths[start : start + _AT_ONCE])
    except DriverRefused as error:
        raise DriverFault(f"The secret inputs could not be deleted: {error}") from error
