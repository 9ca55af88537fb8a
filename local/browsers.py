"""Refuse requests that a web page in the developer's browser sends.

A page of another origin can send requests to loopback. Under a host name of its own that resolves
to 127.0.0.1 (DNS rebinding) it can read the answers, too. So a request must name this machine in
`Host`, and if it comes from a page and can change something, or asks whether it may (a preflight),
the page's origin must be allowed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.http_events import Answer, message

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Allowed:
    """The names of this machine besides loopback's, and the origins whose pages may change things.

    A page that is served under one of the names may change things without being listed.
    """

    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Collection[str], origins: str, public_url: str) -> "Allowed":
        """From the stack's parameters CorsOrigins and PublicUrl, and further names."""
        public = {public_url} - {""}
        hosts = {name_of(urlsplit(url).netloc) for url in public}
        return cls(
            frozenset({*names, *hosts} - {""}),
            frozenset({*origins.split(","), *public} - {""}),
        )


def name_of(host: str) -> str:
    """A `Host` header without its port, which an SSH tunnel may change."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()


def wrong_host(scope: Mapping[str, Any], allowed: Allowed) -> Answer | None:
    """The refusal of a request under a name that is not this machine's."""
    hosts = _values(scope, b"host")
    if len(hosts) != 1:
        return message(400, "A request has exactly one Host header.")
    name = name_of(hosts[0])
    if name in LOOPBACK or name.endswith(".localhost") or name in allowed.names:
        return None
    told = ", ".join(sorted(LOOPBACK | allowed.names))
    return message(421, f"Host is not a name of this machine. Use one of {told}.")


def wrong_origin(scope: Mapping[str, Any], allowed: Allowed) -> Answer | None:
    """The refusal of a change, or of a preflight, that a page of a foreign origin asks for."""
    origins = _values(scope, b"origin")
    if scope["method"] in READING or not origins:
        return None
    [host] = _values(scope, b"host")
    own = {f"http://{host}".lower(), f"https://{host}".lower()}
    if len(origins) == 1 and (origins[0] in allowed.origins or origins[0].lower() in own):
        return None
    return message(
        403,
        "Pages of this Origin may not change anything here. Only Slipway's own pages may, and "
        "those of the origins in the parameter CorsOrigins.",
    )


def _values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in scope["headers"] if each.lower() == name]
