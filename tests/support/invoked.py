"""The functions that other functions invoke, in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.support.api.client import CONTEXT, asking
from tests.support.repository import ROOT, load_function

FOLDERS = {path.name: path for path in (ROOT / "functions/invoked").iterdir()}


def invoke(name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Like slipway.aws.functions.invoke: JSON in, JSON out, with the rights of that function."""
    token = asking.set(name)
    try:
        sent = json.loads(json.dumps(payload, default=sorted))
        answer: dict[str, Any] = load_function(FOLDERS[name]).handler(sent, CONTEXT)
        return dict(json.loads(json.dumps(answer)))
    finally:
        asking.reset(token)
