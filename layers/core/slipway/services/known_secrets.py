"""The secret values of an environment, to mask them in what leaves Slipway.

Code that runs in an environment may write its secrets to a log. All of them are known: each is a
SecureString below one of the paths in `_paths`, with its earlier values as long as these are kept.
Who gives environments secrets from another place adds its path there.

The values are deleted when the environment ends. What it wrote stays, and could have any of them:
then every text is withheld.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from slipway import aws
from slipway.aws import secret_inputs
from slipway.domain import scope
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slipway.domain.masking import Masker
    from slipway.domain.records import EnvironmentRecord

# A process reads the values again after so many seconds, and when the record has changed.
_SECONDS = 60
_MOST = 50
_known: dict[str, tuple[int, float, Masker]] = {}


def masker(record: EnvironmentRecord) -> Masker:
    """What masks the secrets of the environment, for a short time the same one.

    One call for each path and ten values, none if the environment has no stack. Raises DriverFault:
    a text whose secrets are not known must not be shown.
    """
    # Imported here, because most requests mask nothing.
    from slipway.domain.masking import Masker

    if record["driver"] != "cloudformation":
        return Masker(())
    now = time.monotonic()
    version, until, found = _known.get(record["id"], (-1, 0.0, None))
    if found is not None and version == record["version"] and now < until:
        return found
    values = {name: value for path in _paths(record) for name, value in _values(path).items()}
    if len(_known) >= _MOST:
        _known.clear()
    found = Masker(values.values(), knows_all=_has_all(record, values))
    _known[record["id"]] = (record["version"], now + _SECONDS, found)
    return found


def _paths(record: EnvironmentRecord) -> list[str]:
    """Where the environment's secrets are: those of its own, which are secret inputs and those of
    its configuration, and those that its code was given, from whatever level they are."""
    of_stack = f"/{settings().stack}"
    return [
        f"{of_stack}/environments/{record['id']}",
        f"{of_stack}/configurations/{scope.of(record['id'])}",
    ]


def _has_all(record: EnvironmentRecord, values: Mapping[str, str]) -> bool:
    """Whether these are all secrets that the environment's code was given."""
    places = secret_inputs.places(record)
    inputs = {secret_inputs.path(place, name) for name, place in places.items()}
    # Of an ended environment, nobody knows any more which secrets its configurations had.
    had_more = record["status"] == "destroyed" and bool(record.get("configuration"))
    return inputs <= values.keys() and not had_more


def _values(path: str) -> dict[str, str]:
    """The SecureStrings below the path by name. Raises DriverFault."""
    request = {"Path": path, "Recursive": True, "WithDecryption": True}
    # Variables are below the second path as well, and no secrets.
    only = {"Key": "Type", "Option": "Equals", "Values": ["SecureString"]}
    try:
        pages = aws.pages("ssm", "get_parameters_by_path", **request, ParameterFilters=[only])
        return {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}
    except DriverRefused as error:
        raise DriverFault(f"The secrets could not be read: {error}") from error


def forget() -> None:
    """Clear what the process knows, as a new one would start; for tests."""
    _known.clear()
