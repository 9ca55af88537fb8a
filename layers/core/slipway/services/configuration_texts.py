"""Variables as texts that other tools take, and that a change of variables takes again."""

from __future__ import annotations

import json
from collections.abc import Iterable

from slipway.domain.variables import Variable


def as_dotenv(variables: Iterable[Variable]) -> str:
    """A file of variables, `NAME=value` a line."""
    # Imported here, because most answers are JSON.
    from slipway.domain import dotenv

    return dotenv.written({each.name: each.value for each in variables})


def as_merge_patch(variables: Iterable[Variable]) -> str:
    """A JSON object of names and values (RFC 7396)."""
    return json.dumps({each.name: each.value for each in variables}, ensure_ascii=False)
