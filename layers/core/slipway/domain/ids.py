"""Ids that carry their ancestry: `prj_<p>`, `env_<p>_<e>`, `dep_<p>_<e>_<d>`, `pro_<p>_<n>`.

Each part is 20 characters of Crockford's base32 in lower case: 10 of the time in milliseconds,
so that ids sort by age, and 10 (50 bits) at random. The longest id has 66 characters and only
`[a-z0-9_]`, so that any id is a Step Functions execution name (at most 80).

Because a deployment's id names its environment and its project, the caller's membership and
the object are read together in one round trip. Ids are opaque to clients.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import NamedTuple, NewType

from slipway.errors import no_such

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PART = r"[0-9a-hjkmnp-tv-z]{20}"
_PROJECT = re.compile(rf"prj_({_PART})")
_ENVIRONMENT = re.compile(rf"env_({_PART})_({_PART})")
_DEPLOYMENT = re.compile(rf"dep_({_PART})_({_PART})_({_PART})")
_TRUST = re.compile(rf"trs_({_PART})_({_PART})")
_CONFIRMATION = re.compile(rf"cnf_({_PART})_({_PART})")
_PROMOTION = re.compile(rf"pro_({_PART})_({_PART})")
_USER = re.compile(rf"usr_{_PART}")
# An invitation to a project names it.
_INVITATION = re.compile(rf"inv_(?:({_PART})_)?{_PART}")
_TOKEN = re.compile(rf"tok_({_PART})_({_PART})")

UserId = NewType("UserId", str)
InvitationId = NewType("InvitationId", str)
MemberId = NewType("MemberId", str)
"""The id of a user, or of an invitation to a project."""


class ProjectId(NamedTuple):
    p: str

    @property
    def project(self) -> ProjectId:
        return self

    def __str__(self) -> str:
        return f"prj_{self.p}"


class EnvironmentId(NamedTuple):
    p: str
    e: str

    @property
    def project(self) -> ProjectId:
        return ProjectId(self.p)

    def __str__(self) -> str:
        return f"env_{self.p}_{self.e}"


class DeploymentId(NamedTuple):
    p: str
    e: str
    d: str

    @property
    def project(self) -> ProjectId:
        return ProjectId(self.p)

    @property
    def environment(self) -> EnvironmentId:
        return EnvironmentId(self.p, self.e)

    def __str__(self) -> str:
        return f"dep_{self.p}_{self.e}_{self.d}"


class TrustId(NamedTuple):
    p: str
    t: str

    @property
    def project(self) -> ProjectId:
        return ProjectId(self.p)

    def __str__(self) -> str:
        return f"trs_{self.p}_{self.t}"


class ConfirmationId(NamedTuple):
    p: str
    c: str

    @property
    def project(self) -> ProjectId:
        return ProjectId(self.p)

    def __str__(self) -> str:
        return f"cnf_{self.p}_{self.c}"


class PromotionId(NamedTuple):
    p: str
    n: str

    @property
    def project(self) -> ProjectId:
        return ProjectId(self.p)

    def __str__(self) -> str:
        return f"pro_{self.p}_{self.n}"


class TokenId(NamedTuple):
    u: str
    t: str

    def __str__(self) -> str:
        return f"tok_{self.u}_{self.t}"


def new_part(after: str | None = None) -> str:
    """A new part, later than `after` even if the clock is behind."""
    millis = int(time.time() * 1000)
    if after is not None:
        millis = max(millis, _decode(after[:10]) + 1)
    return _encode(millis, 10) + _encode(secrets.randbits(50), 10)


def part_at(seconds: float) -> str:
    """The beginning of the parts that were made at this time (seconds since 1970)."""
    return _encode(int(seconds * 1000), 10)


def is_part(text: str) -> bool:
    """Whether the text is a part of an id."""
    return re.fullmatch(_PART, text) is not None


def derived_part(text: str) -> str:
    """The part that belongs to a text. It does not sort by age, and does not hide a known text."""
    return _encode(int.from_bytes(hashlib.sha256(text.encode()).digest()) >> 156, 20)


def age(part: str) -> float:
    """Seconds since the part was generated, by the generating process's clock."""
    return time.time() - _decode(part[:10]) / 1000


def new_user_id() -> str:
    return f"usr_{new_part()}"


def parse_project(text: str) -> ProjectId:
    """Raises NotFound for a malformed id."""
    match = _PROJECT.fullmatch(text)
    if not match:
        raise no_such("project")
    return ProjectId(*match.groups())


def parse_environment(text: str) -> EnvironmentId:
    """Raises NotFound for a malformed id."""
    match = _ENVIRONMENT.fullmatch(text)
    if not match:
        raise no_such("environment")
    return EnvironmentId(*match.groups())


def parse_deployment(text: str) -> DeploymentId:
    """Raises NotFound for a malformed id."""
    match = _DEPLOYMENT.fullmatch(text)
    if not match:
        raise no_such("deployment")
    return DeploymentId(*match.groups())


def parse_trust(text: str) -> TrustId:
    """Raises NotFound for a malformed id."""
    match = _TRUST.fullmatch(text)
    if not match:
        raise no_such("trust")
    return TrustId(*match.groups())


def parse_confirmation(text: str) -> ConfirmationId:
    """Raises NotFound for a malformed id."""
    match = _CONFIRMATION.fullmatch(text)
    if not match:
        raise no_such("confirmation")
    return ConfirmationId(*match.groups())


def parse_promotion(text: str) -> PromotionId:
    """Raises NotFound for a malformed id."""
    match = _PROMOTION.fullmatch(text)
    if not match:
        raise no_such("promotion")
    return PromotionId(*match.groups())


def parse_user(text: str) -> UserId:
    """Raises NotFound for a malformed id."""
    if not _USER.fullmatch(text):
        raise no_such("user")
    return UserId(text)


def parse_invitation(text: str) -> InvitationId:
    """Raises NotFound for a malformed id."""
    if not _INVITATION.fullmatch(text):
        raise no_such("invitation")
    return InvitationId(text)


def parse_member(text: str) -> MemberId:
    """Raises NotFound for a malformed id, and for an invitation to no project."""
    if not (_USER.fullmatch(text) or project_of_invitation(text)):
        raise no_such("member")
    return MemberId(text)


def project_of_invitation(text: str) -> ProjectId | None:
    """The project that the id of an invitation names; None if it names none, or is malformed."""
    match = _INVITATION.fullmatch(text)
    return ProjectId(match[1]) if match and match[1] else None


def parse_token(text: str) -> TokenId:
    """Raises NotFound for a malformed id."""
    match = _TOKEN.fullmatch(text)
    if not match:
        raise no_such("token")
    return TokenId(*match.groups())


def _encode(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> 5 * i) & 31] for i in reversed(range(length)))


def _decode(text: str) -> int:
    number = 0
    for letter in text:
        number = number << 5 | _ALPHABET.index(letter)
    return number
