"""The address of a caller who comes by the console, which says it in a signed header."""

from __future__ import annotations

import time
from typing import Any

from slipway.access import api_tokens
from slipway.domain import forwarded
from slipway.errors import StoreUnavailable


def take_over(event: dict[str, Any]) -> None:
    """Put the address from the header into the event, if the console has signed it.

    No round trip while the platform's secret is cached.
    """
    http = event["requestContext"]["http"]
    try:
        secret = api_tokens.key()
    except StoreUnavailable:
        # The console's own address has stricter throttles than a person's.
        return
    header = event["headers"][forwarded.HEADER]
    found = forwarded.address_of(secret, header, http["method"], time.time())
    if found is not None:
        http["sourceIp"] = found
