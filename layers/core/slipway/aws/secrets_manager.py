"""Secrets of Secrets Manager, read without AWS's client library, whose start takes too long."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from slipway.aws.signature import SECRETS_MANAGER, signed
from slipway.errors import StoreUnavailable
from slipway.settings import credentials, endpoint, settings

_TRIES = 3
_SECONDS = 2.5


def read(secret: str) -> str:
    """The current value of the secret with this name or ARN.

    Raises StoreUnavailable. One call, more only while there is no answer.
    """
    body = json.dumps({"SecretId": secret}).encode()
    for attempt in range(_TRIES):
        try:
            status, answer = send(body)
            if status < 500 or attempt == _TRIES - 1:
                return str(json.loads(answer)["SecretString"])
        except (OSError, HTTPException, ValueError, KeyError) as error:
            # What was answered may be the secret, so it is not a part of the error.
            if attempt == _TRIES - 1 or isinstance(error, KeyError):
                break
    raise StoreUnavailable("A secret cannot be read. Try again after Retry-After.")


def send(body: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to GetSecretValue."""
    url = urlsplit(endpoint("secretsmanager"))
    headers = signed(
        "GetSecretValue",
        body,
        url.netloc,
        settings().region,
        credentials(),
        datetime.now(UTC),
        SECRETS_MANAGER,
    )
    connection = HTTPConnection(url.netloc, timeout=_SECONDS)
    if url.scheme == "https":
        context = ssl.create_default_context()
        connection = HTTPSConnection(url.netloc, timeout=_SECONDS, context=context)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
