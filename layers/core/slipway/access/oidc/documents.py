"""Documents of issuers, read over the network although a caller chose the address.

Only public addresses are asked, at the port of https. The name is resolved once, every address that
it has must be public, and the connection goes to one of these, so that a name cannot lead elsewhere
between the check and the connection. Redirects are not followed, and no proxy is used. The whole
takes a few seconds at most, also if the issuer sends a byte now and then, and the document has a
maximum length. On a laptop, an issuer on loopback may be asked too.
"""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult, urlsplit

from slipway.domain.issuers import is_loopback, is_public_address, is_url
from slipway.settings import settings

LONGEST_BYTES = 100_000


class Unreadable(Exception):
    """The document cannot be read. The text says why, and nothing about the network."""


def may_be_asked(url: str) -> bool:
    """Whether the platform asks this URL: https with a public name, or loopback on a laptop."""
    return is_url(url) and not (is_loopback(url) and settings().on_aws)


def read(url: str, until: float) -> dict[str, Any]:
    """The JSON object at the URL. `until` is when to give up (time.monotonic).

    Raises Unreadable.
    """
    if not may_be_asked(url):
        raise Unreadable("it has an address that the platform does not ask")
    request = _Request(urlsplit(url), until)
    # Neither the resolution of names nor a slow answer can be limited otherwise.
    threading.Thread(target=request.run, daemon=True).start()
    try:
        found = request.result.get(timeout=max(0.0, until - time.monotonic()))
    except queue.Empty:
        request.stop()
        raise Unreadable("it did not answer in time") from None
    if isinstance(found, Exception):
        raise found
    return _parsed(found)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unreadable("it does not answer with a JSON object")
    return document


class _Request:
    """One request. `result` gets the body, or Unreadable."""

    def __init__(self, url: SplitResult, until: float) -> None:
        self.result: queue.SimpleQueue[bytes | Unreadable] = queue.SimpleQueue()
        self._url = url
        self._until = until
        self._socket: socket.socket | None = None

    def run(self) -> None:
        try:
            self.result.put(self._body())
        except Unreadable as error:
            self.result.put(error)
        except (OSError, HTTPException, ValueError):
            self.result.put(Unreadable("it cannot be reached"))
        finally:
            if self._socket:
                self._socket.close()

    def stop(self) -> None:
        """Let nothing wait for the connection any longer."""
        if self._socket:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes:
        with closing(self._sent().getresponse()) as response:
            if response.status != 200:
                raise Unreadable(f"it answers with the status {response.status} in place of 200")
            body = response.read(LONGEST_BYTES + 1)
        if len(body) > LONGEST_BYTES:
            raise Unreadable(f"its answer is longer than {LONGEST_BYTES} bytes")
        return body

    def _connected(self, addresses: list[str], port: int) -> socket.socket:
        """A connection to the first of the addresses that takes one. Raises OSError."""
        failed: OSError = TimeoutError()
        for address in addresses:
            if (left := self._until - time.monotonic()) <= 0:
                break
            try:
                return socket.create_connection((address, port), left)
            except OSError as error:
                failed = error
        raise failed

    def _sent(self) -> HTTPConnection:
        host, secure = self._url.hostname or "", self._url.scheme == "https"
        port = self._url.port or (443 if secure else 80)
        self._socket = self._connected(_addresses(host, port, secure), port)
        if secure:
            wrapped = ssl.create_default_context().wrap_socket(
                self._socket, server_hostname=host, do_handshake_on_connect=False
            )
            self._socket = wrapped
            wrapped.do_handshake()
        connection = HTTPConnection(host, None if secure else port)
        # Otherwise it would connect by name once more if the issuer closed the connection.
        connection.auto_open = 0
        connection.sock = self._socket
        headers = {"Accept": "application/json", "User-Agent": "slipway", "Connection": "close"}
        connection.request("GET", self._url.path or "/", headers=headers)
        return connection


def _addresses(host: str, port: int, secure: bool) -> list[str]:
    """The addresses to connect to, IPv4 first, because Lambda has no IPv6 outside of a VPC.

    Raises Unreadable unless all of the host's are public.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    # A name on loopback is asked only on a laptop, and only without TLS.
    allowed = is_public_address if secure else _is_loopback_address
    if not addresses or not all(map(allowed, addresses)):
        raise Unreadable("its name has an address that is not public")
    return sorted(addresses, key=lambda address: ":" in address)


def _is_loopback_address(text: str) -> bool:
    return text == "::1" or text.startswith("127.")
