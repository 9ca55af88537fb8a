"""The AWS port: what reaches the emulator is signed with a key that was given out.

Defects of the emulator: it does not verify the owner's signature (local/signatures.py), it answers
commands below `/_ministack/` to everybody, also the one that resets it, and it tells browsers that
pages of every origin may read its answers.

These need no signature, as on AWS: objects that a bucket policy makes public, which the emulator
decides, and the answers of custom resources, whose URLs have secret tokens. And the health check.
"""

import re
import uuid
from typing import Any

from local import browsers, signatures
from local.asgi import Message, Receive, Send, body_of, respond
from local.browsers import Allowed
from local.http_events import Answer, message

LARGEST_BODY = 512 * 2**20
HEALTH = "/_ministack/health"
TOKENS = re.compile(r"/_ministack/cfn-(response|signal)/[\w-]{20,}")
OBJECT = re.compile(r"/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+", re.DOTALL)
# Paths that the emulator adds to AWS: its commands and its data plane (ours is the gateway).
INTERNAL = ("/_ministack/", "/_localstack/", "/_aws/")
NOT_HERE = "This is not a part of AWS. Environments answer on another port: see base_url."


class AwsPort:
    """The emulator behind a check of each request's Host, Origin and signature."""

    def __init__(self, emulator: Any, allowed: Allowed) -> None:
        self.emulator, self.allowed = emulator, allowed

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        refused = (
            browsers.wrong_host(scope, self.allowed)
            or browsers.wrong_origin(scope, Allowed())
            or _internal(scope)
        )
        if refused:
            return await respond(send, refused, head=scope["method"] == "HEAD")
        unread = signatures.Signed.of(scope, b"")
        if signatures.is_unsigned(unread):
            if not _is_open(scope, unread):
                await respond(send, _refusal(unread, "MissingAuthenticationToken"))
                return None
            await self.emulator(scope, receive, _without_cors(send))
            return None
        body = await body_of(receive, LARGEST_BODY, LARGEST_BODY)
        if body is None:
            return None
        request = signatures.Signed.of(scope, body)
        if found := signatures.failure(request):
            return await respond(send, _refusal(request, *found))
        await self.emulator(scope, _replayed(body, receive), _without_cors(send))
        return None


def _internal(scope: Message) -> Answer | None:
    """The refusal of what is not AWS, even if it is signed: any worker has a key."""
    path = scope["path"]
    if path.startswith(INTERNAL) and not _is_answer(scope) and path != HEALTH:
        return message(403, NOT_HERE)
    return None


def _is_answer(scope: Message) -> bool:
    """Whether it is the answer of a custom resource, or the signal for a wait condition."""
    return scope["method"] == "PUT" and TOKENS.fullmatch(scope["path"]) is not None


def _is_open(scope: Message, request: signatures.Signed) -> bool:
    """Whether an unsigned request may reach the emulator, which still decides about objects."""
    from ministack.core.router import detect_service

    if _is_answer(scope):
        return True
    if scope["method"] not in browsers.READING:
        return False
    if scope["path"] == HEALTH:
        return True
    where = (scope["method"], scope["path"], request.headers, request.query)
    return bool(OBJECT.fullmatch(scope["path"]) and detect_service(*where) == "s3")


def _refusal(request: signatures.Signed, code: str, text: str = signatures.MISSING) -> Answer:
    """AWS's answer to a request that is not signed as it must be, in the service's protocol."""
    from ministack import app
    from ministack.core.iam_evaluator import AuthError
    from ministack.core.router import detect_service

    service = detect_service(request.method, request.raw_path, request.headers, request.query)
    denied = AuthError(code, text)
    made = app._credential_failure(service, "", str(uuid.uuid4()), denied, request.headers)
    status, headers, body = made
    if code == "XAmzContentSHA256Mismatch":
        status = 400
    dropped = ("content-length", "access-control-allow-origin")
    kept = [(name.lower(), str(value)) for name, value in headers.items()]
    return Answer(status, body, [each for each in kept if each[0] not in dropped])


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read, and then what follows: a disconnection."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _without_cors(send: Send) -> Send:
    async def sending(part: Message) -> None:
        if part["type"] == "http.response.start":
            kept = [
                header
                for header in part.get("headers", [])
                if not header[0].lower().startswith(b"access-control-")
            ]
            part = {**part, "headers": kept}
        await send(part)

    return sending
