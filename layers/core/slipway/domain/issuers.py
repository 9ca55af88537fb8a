"""Issuers of workloads' tokens: which URLs and addresses may be asked, and what pins a workload.

A service such as GitHub signs for all of its users with the same keys. A trust must therefore name
a claim that says whose workload it is; the claims that do so differ between issuers.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
LONGEST = 255

# Compiled on first use, because most requests need none of them.
_HTTPS = r"https://(?P<host>[a-z0-9.-]+)(:443)?(/[A-Za-z0-9._~-]+)*/?"
_LOOPBACK = r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[A-Za-z0-9._~-]+)*/?"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# At least two labels, and the last one is none that could be read as a number.
_HOST = rf"({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?"
# Names that are never those of public services (RFC 6761, 6762, 8375, and ICANN's .internal).
_INNER = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".invalid", ".onion")
_PUBLIC_6 = "2000::/3"
# Python calls some addresses global that lead to protocols, to documentation or through tunnels to
# IPv4 addresses that the check would not see: Teredo and its like, and 6to4.
_NOT_4 = ("192.0.0.0/24", "192.88.99.0/24")
_NOT_6 = ("2001::/23", "2002::/16", "3fff::/20")


class Family(NamedTuple):
    """How issuers of one kind name a workload.

    Each of the claims `pins` says whose workload it is; `sub` does so if it matches `subjects`.
    `identity` is the claim that the preset requires.
    """

    name: str
    issuer: str
    identity: str
    pins: tuple[str, ...]
    subjects: str


# A repository's name may belong to somebody else tomorrow, its id never does. Reusable workflows,
# refs, environments and actors occur in the tokens of any repository.
_FAMILIES = {
    "github": Family(
        "github",
        GITHUB,
        "repository_id",
        ("repository_id", "repository_owner_id"),
        r"repo:[^/:]+/[^/:]+:.+|repository_id:\d+(:.+)?|repository_owner_id:\d+(:.+)?",
    ),
    "gitlab": Family(
        "gitlab",
        GITLAB,
        "project_id",
        ("project_id", "namespace_id", "job_project_id"),
        r"project_path:[^:/]+/[^:]+:.+",
    ),
}
_OTHER_PINS = ("repository_id", "project_id", "pipeline_id", "workspace_id", "organization_id")
# All claims by which trusts are found, the most specific first.
PINS = (
    "repository_id",
    "project_id",
    "job_project_id",
    "pipeline_id",
    "workspace_id",
    "sub",
    "repository_owner_id",
    "namespace_id",
    "organization_id",
)


def is_issuer(text: str) -> bool:
    """Whether it can be the URL of an issuer: one that `is_url` allows, of at most 255 characters.

    A path has no segment that begins with a dot, so that it cannot lead upwards.
    """
    return len(text) <= LONGEST and "/." not in text and is_url(text)


def is_url(text: str) -> bool:
    """Whether it is a URL that the platform may ask: https with a public name, or http on loopback.

    Neither credentials nor ports, queries, fragments, or addresses in place of names.
    """
    if is_loopback(text):
        return True
    found = re.fullmatch(_HTTPS, text)
    return bool(found and is_public_name(found["host"]))


def is_loopback(text: str) -> bool:
    """Whether it is http on loopback, which only the platform on a laptop trusts."""
    return bool(re.fullmatch(_LOOPBACK, text))


def is_public_name(host: str) -> bool:
    """Whether the host is a name that a public service can have."""
    return len(host) <= 253 and bool(re.fullmatch(_HOST, host)) and not host.endswith(_INNER)


def is_public_address(text: str) -> bool:
    """Whether packets to the address leave for the public internet, and for one host there."""
    import ipaddress

    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # Everything that maps to an IPv4 address or embeds one is outside of these.
        if address not in ipaddress.IPv6Network(_PUBLIC_6):
            return False
    elif address.is_multicast or address.is_reserved:
        return False
    nets = _NOT_4 if address.version == 4 else _NOT_6
    if any(address in ipaddress.ip_network(each) for each in nets):
        return False
    return address.is_global


def family(name: str) -> Family:
    """The family of a preset, `github` or `gitlab`."""
    return _FAMILIES[name]


def family_of(issuer: str) -> Family | None:
    """The family of a known issuer; None for others."""
    url = urlsplit(issuer)
    host = url.hostname or ""
    if host == urlsplit(GITHUB).hostname or re.fullmatch(r"token\.actions\.[^.]+\.ghe\.com", host):
        return _FAMILIES["github"]
    # GitHub Enterprise Server.
    if url.path.rstrip("/").endswith("/_services/token"):
        return _FAMILIES["github"]
    return _FAMILIES["gitlab"] if host == urlsplit(GITLAB).hostname else None


def pinning(kind: Family | None, claims: dict[str, str]) -> str | None:
    """The most specific of the claims that says whose workload it is, None if none does."""
    for name in PINS:
        value = claims.get(name)
        if value is None:
            continue
        if kind is None:
            if name == "sub" or name in _OTHER_PINS:
                return name
        elif name in kind.pins or (name == "sub" and re.fullmatch(kind.subjects, value)):
            return name
    return None


def wanted_pins(kind: Family | None) -> tuple[str, ...]:
    """The claims of which a trust needs one, for people to read."""
    return (*kind.pins, "sub") if kind else ("sub", *_OTHER_PINS)
