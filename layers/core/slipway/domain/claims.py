"""Claims of workloads' tokens: how they are compared with those of a trust, and the limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["github", "gitlab"]

ACCESS_SECONDS = 900
"""How long the platform's token of a workload is valid."""
LONGEST_AGE_SECONDS = 12 * 3600
"""How old an issuer's token may be, even if it is valid for longer."""
SKEW_SECONDS = 60
"""By how much an issuer's clock may differ from the platform's."""
MOST_IN_A_PROJECT = 20
"""How many trusts a project has at most."""
# None that is verified with a secret.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


def as_text(value: object) -> str | None:
    """A claim's value as trusts compare it; None for one that no trust matches.

    Issuers write the same claim as a number, a boolean or a text: 42, true and "42", "true".
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else None


def differences(
    trust: Mapping[str, Any], claims: Mapping[str, Any], platform: str
) -> tuple[str, ...]:
    """The names of the claims by which a token differs from a trust; none if it matches.

    `trust` is its record with `claims` as a mapping, `platform` the audience without one named.
    """
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    wrong = [] if (trust.get("audience") or platform) in audiences else ["aud"]
    wrong += [name for name, value in trust["claims"].items() if as_text(claims.get(name)) != value]
    return tuple(wrong)
