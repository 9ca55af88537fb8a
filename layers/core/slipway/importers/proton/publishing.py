"""Adds a template to a platform through its API, always as a draft that a person publishes."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

_SECONDS = 30
# Seconds between attempts. Their sum is more than a request can take.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
_RETRIED = (429, 500, 502, 503, 504)
_MAX_ANSWER = 10_000_000


class PublishError(Exception):
    """The platform refused the template or did not answer. The message says why."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the token is only for the named platform."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Platform:
    """A client of the API. `url` is the prefix of the API's paths."""

    url: str
    token: str
    opener: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(_NoRedirects)
    )

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PublishError(
                f"{self.url} is not the URL of a platform: it must begin with https:// or http://"
            )
        self.url = self.url.rstrip("/")

    def publish(self, name: str, body: str) -> str:
        """Add a draft and return its name. A version with the same body is not added again.

        Raises PublishError.
        """
        quoted = urllib.parse.quote(name, safe="")
        versions = f"/api/v1/templates/{quoted}/versions"
        wanted = {"name": name, "description": "Imported from AWS Proton."}
        # The platform validates a body only for an existing template.
        made = self._send("POST", "/api/v1/templates", json.dumps(wanted), accept="name_taken")
        try:
            return self._add(versions, body)
        except PublishError as refused:
            if made is None:
                raise
            left = f"The template {name} was created and remains without a version."
            raise PublishError(f"{refused}\n{left}") from None

    def _add(self, versions: str, body: str) -> str:
        sha256 = hashlib.sha256(body.encode()).hexdigest()
        for each in self._send("GET", f"{versions}?limit=100"):
            if each["sha256"] == sha256:
                return f"{each['template']}@{each['version']} ({each['state']}, already exists)"
        added = self._send("POST", versions, body, media="application/yaml")
        return f"{added['template']}@{added['version']} ({added['state']})"

    def _send(
        self,
        method: str,
        path: str,
        body: str | None = None,
        *,
        media: str = "application/json",
        accept: str = "",
    ) -> Any:
        """The response's JSON; None for the accepted problem code.

        Retries use the same idempotency key, so a POST takes effect once. Raises PublishError.
        """
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers |= {"Content-Type": media, "Idempotency-Key": str(uuid.uuid4())}
        data = None if body is None else body.encode()
        for pause in (*_PAUSES, None):
            request = urllib.request.Request(self.url + path, data, headers, method=method)
            try:
                with self.opener.open(request, timeout=_SECONDS) as answer:
                    return json.loads(answer.read(_MAX_ANSWER))
            except urllib.error.HTTPError as refused:
                with refused:
                    problem = _problem(refused.read(_MAX_ANSWER))
                if accept and problem.get("code") == accept:
                    return None
                again = refused.code in _RETRIED
                if not again or pause is None:
                    raise PublishError(_told(method, path, refused.code, problem)) from None
            except (OSError, http.client.HTTPException) as error:
                if pause is None:
                    raise PublishError(f"{self.url} does not answer: {error}") from None
            except ValueError:
                raise PublishError(f"{method} {path}: the response is not JSON") from None
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _told(method: str, path: str, status: int, problem: dict[str, Any]) -> str:
    """The problem as text: its detail or title, and each field at fault."""
    said = problem.get("detail") or problem.get("title") or http.client.responses.get(status, "")
    code = f" {problem['code']}" if "code" in problem else ""
    lines = [f"{method} {path}: {status}{code}: {said}"]
    errors = problem.get("errors")
    for each in errors if isinstance(errors, list) else []:
        if isinstance(each, dict):
            lines.append(f"  {each.get('pointer')} {each.get('detail')}")
    return "\n".join(lines)
