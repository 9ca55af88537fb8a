"""A valid request body for each route that takes one, and a way to send variations of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.api.people import Stage

Send = Callable[..., Any]
LOGIN = "/api/v1/auth/login"
GOOD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "register": (
        "POST",
        "/api/v1/auth/register",
        {"email": "new@example.com", "password": "secret123"},
    ),
    "login": ("POST", LOGIN, {"username": "ann@example.com", "password": "secret123"}),
    "project": ("POST", "/api/v1/projects", {"name": "new"}),
    "change": ("PATCH", "/api/v1/projects/{project}", {"name": "new"}),
    "environment": (
        "POST",
        "/api/v1/environments/projects/{project}",
        {"name": "new", "type": "ephemeral"},
    ),
    "tier": ("PATCH", "/api/v1/environments/{environment}", {"tier": "staging"}),
    "extend": ("POST", "/api/v1/environments/{environment}/extend", {"ttl_hours": 48}),
    "pin": ("POST", "/api/v1/environments/{environment}/pin", {"reason": "demo"}),
    "ensure": (
        "PUT",
        "/api/v1/projects/{project}/environments/by-external-id/pr-1",
        {"name": "new", "type": "ephemeral"},
    ),
    "deployment": ("POST", "/api/v1/deployments/environments/{environment}", {"version": "v1"}),
}


def sender(stage: Stage) -> Send:
    """Sends a body to one of GOOD by its name; `fields` change the good body."""
    ann = stage.ann

    def send(name: str, body: str | bytes | None = None, /, **fields: Any) -> Any:
        method, path, good = GOOD[name]
        here = path.format(project=stage.project, environment=stage.environment)
        if body is not None:
            return ann.send(method, here, body)
        sent = {k: v for k, v in (good | fields).items() if v is not ...}
        return ann.send(method, here, json.dumps(sent))

    return send
