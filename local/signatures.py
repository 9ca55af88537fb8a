"""Signature Version 4: whether a request was signed with a key that was given out.

Defect: the emulator does not verify signatures with the owner's key, nor that the body of a request
is the one whose hash was signed. "Create a signed AWS API request" in the IAM user guide has the
rules. The emulator's own functions compute canonical requests and signatures.
"""

import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST = 604_800  # seconds that a presigned URL may be valid
SKEW = dt.timedelta(minutes=15)
STREAMED = "STREAMING-"
INVALID = "The security token included in the request is invalid."
MISSING = "Request is missing Authentication Token"
MALFORMED = "The request signature does not conform to AWS standards."
CREDENTIAL = re.compile(r"[\w-]+/\d{8}/[\w-]+/[\w-]+/aws4_request")
OF_HEADER = {
    "Credential": CREDENTIAL,
    "SignedHeaders": re.compile(r"[a-z0-9_-]+(;[a-z0-9_-]+)*"),
    "Signature": re.compile(r"[0-9a-f]{64}"),
}
# Parameters of a signature in the query, of any version.
OF_QUERY = re.compile(
    "(x-amz-(algorithm|credential|date|expires|signature|signedheaders|security-token|region-set)"
    "|awsaccesskeyid|signature)$",
    re.IGNORECASE,
)
PRESIGNED = {
    f"x-amz-{name}"
    for name in ("algorithm", "credential", "date", "expires", "signature", "signedheaders")
}
OF_BODY = "The provided 'x-amz-content-sha256' header does not match what was computed."


@dataclass(frozen=True)
class Signed:
    """A request as it arrived. `headers` have lower-case names; repeated ones are joined."""

    method: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, scope: Mapping[str, Any], body: bytes) -> "Signed":
        return cls(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True),
            _joined(scope["headers"]),
            body,
        )

    @property
    def in_header(self) -> bool:
        return self.headers.get("authorization", "").startswith(f"{ALGORITHM} ")

    @property
    def in_query(self) -> bool:
        return self.query.get("X-Amz-Algorithm") == [ALGORITHM]


def is_unsigned(request: Signed) -> bool:
    """Whether the request carries no credentials of any kind."""
    return "authorization" not in request.headers and not _credentials_in_query(request)


def failure(request: Signed) -> tuple[str, str] | None:
    """AWS's error code and message, if the signature is missing or wrong; else None.

    Costs a hash of the body and one of the signed headers; signing keys are cached.
    """
    from ministack.core import sigv4

    if is_unsigned(request):
        return "MissingAuthenticationToken", MISSING
    if not _has_one_signature(request):
        return "UnsupportedSignature", MALFORMED
    parsed = (
        sigv4.parse_header_signature(request.headers)
        if request.in_header
        else sigv4.parse_query_signature(request.query)
    )
    if isinstance(parsed, tuple):
        code, text = parsed
        return code, text
    secret = _secret(request, parsed.access_key_id)
    if isinstance(secret, tuple):
        return secret
    late = _untimely(request, parsed)
    if late or (late := _unsigned_part(request, parsed)):
        return late
    found: tuple[str, str] | None = sigv4.header_signature_failure(
        parsed,
        secret,
        request.method,
        request.raw_path,
        request.query,
        request.headers,
        request.body,
        presigned=request.in_query,
    )
    return found


def _credentials_in_query(request: Signed) -> list[str]:
    """The names of the parameters for a signature, in lower case, as often as they occur."""
    return [
        name.lower()
        for name, values in request.query.items()
        if OF_QUERY.match(name)
        for _ in values
    ]


def _has_one_signature(request: Signed) -> bool:
    """Whether there is one signature, written in one way.

    The emulator looks for the key by patterns. It must not find another one than was verified here.
    """
    in_query = _credentials_in_query(request)
    if request.in_query:
        optional = {"x-amz-security-token"}
        return (
            "authorization" not in request.headers
            and len(in_query) == len(set(in_query))
            and set(in_query) - optional == PRESIGNED
            and all(f"X-Amz-{name}" in request.query for name in ("Credential", "SignedHeaders"))
            and CREDENTIAL.fullmatch(_of(request, "Credential")) is not None
        )
    if set(in_query) - {"signature"} or not request.in_header:
        return False
    parts = request.headers["authorization"].removeprefix(ALGORITHM).split(",")
    given = dict(part.strip().partition("=")[::2] for part in parts)
    return (
        len(parts) == 3
        and given.keys() == OF_HEADER.keys()
        and all(pattern.fullmatch(given[name]) for name, pattern in OF_HEADER.items())
    )


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _of(request: Signed, name: str) -> str:
    """A parameter of a presigned URL; "" if it has none."""
    return (request.query.get(f"X-Amz-{name}") or [""])[0]


def _secret(request: Signed, key_id: str) -> str | tuple[str, str]:
    """The secret of the key, or why its caller is unknown."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import _account_from_sts_session, get_account_id

    if not key_id:
        return "UnrecognizedClientException", INVALID
    if key_id == os.environ["AWS_ACCESS_KEY_ID"]:
        return os.environ["AWS_SECRET_ACCESS_KEY"]
    in_query = _of(request, "Security-Token")
    token = in_query if request.in_query else request.headers.get("x-amz-security-token", "")
    account = _account_from_sts_session(key_id) or get_account_id()
    found = iam_evaluator.resolve_credential(key_id, account, token)
    if isinstance(found, iam_evaluator.CredentialResolutionError):
        return found.code, found.message
    return str(found.secret_access_key)


def _untimely(request: Signed, parsed: Any) -> tuple[str, str] | None:
    """The error of a request that was signed too long ago, or in the future."""
    from ministack.core import sigv4

    at = sigv4._amz_datetime(parsed.amz_date)
    if request.in_header and at is None:
        return "IncompleteSignature", MALFORMED
    if request.in_header:
        skewed: tuple[str, str] | None = sigv4.request_time_failure(parsed)
        return skewed
    seconds = _of(request, "Expires")
    if at is None or not seconds.isdecimal() or not 0 < int(seconds) <= LONGEST:
        return "AuthorizationQueryParametersError", MALFORMED
    now = dt.datetime.now(dt.UTC)
    if at > now + SKEW:
        return "AccessDenied", "Request is not valid yet"
    if now > at + dt.timedelta(seconds=int(seconds)):
        return "AccessDenied", "Request has expired"
    return None


def _unsigned_part(request: Signed, parsed: Any) -> tuple[str, str] | None:
    """The error of a request with a part that matters and is not signed."""
    names = set(parsed.signed_headers.split(";"))
    if "host" not in names:
        return "SignatureDoesNotMatch", "The host header is not signed."
    if request.in_header:
        extra = {name for name in request.headers if name.startswith("x-amz-")} - names
        if extra:
            return "AccessDenied", "There were headers present in the request which were not signed"
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None or (parsed.service == "s3" and request.in_query):
        return None  # a presigned URL of S3 does not sign the body
    if parsed.service == "s3" and (declared == "UNSIGNED-PAYLOAD" or declared.startswith(STREAMED)):
        return None
    if declared != hashlib.sha256(request.body).hexdigest():
        return "XAmzContentSHA256Mismatch", OF_BODY
    return None
