"""Every route of the API, its methods and its request bodies."""

from __future__ import annotations

import re

from slipway.domain.project import Policy
from tests.support.api.client import app
from tests.support.api.people import Stage

Here = dict[str, str]


def ids_of(stage: Stage) -> Here:
    """The ids of what is there, by their name in a path; and a name of an asset."""
    return {
        "project_id": str(stage.project),
        "environment_id": str(stage.environment),
        "deployment_id": str(stage.deployment),
        "trust_id": stage.trust,
        "user_id": stage.ann.user_id,
        "member_id": stage.ann.user_id,
        "token_id": "tok_01kaq3h5x0c2m9f7r4tz_01kaq3k2p9h4s7e1g8ya",
        "invitation_id": "inv_01kaq3h5x0c2m9f7r4tz",
        "promotion_id": "pro_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq",
        "confirmation_id": "cnf_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq",
        "external_id": "github:acme:payments:123",
        "name": "favicon.png",
        "number": "1",
        "other": "2",
        "other_id": str(stage.environment),
        "secret": "DATABASE_PASSWORD",
        "template": "web-service",
        "version": "1.0",
    }


RESOURCES = (
    *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
    *("configuration", "confirmations", "promotions", "runtime"),
)


def paths() -> dict[str, set[str]]:
    """The methods of each path, as the functions have them."""
    found: dict[str, set[str]] = {}
    for name in (*RESOURCES, "docs"):
        for route in app(name).api.routes:
            found.setdefault(route.path, set()).add(route.method)
    return found


def filled(path: str, here: Here) -> str:
    return re.sub(r"<(\w+)>", lambda name: here[name[1]], path)


PATHS = paths()
WITH_BODY = [
    (route.method, route.path) for name in RESOURCES for route in app(name).api.routes if route.body
]
MODELS = [
    Policy,
    *(route.body for name in RESOURCES for route in app(name).api.routes if route.body),
]
