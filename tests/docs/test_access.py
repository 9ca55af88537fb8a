"""The page on access has the policy's own table."""

from __future__ import annotations

from slipway.access.policy import ACTIONS
from slipway.http import openapi, policy_table
from tests.support.repository import ROOT

PAGE = (ROOT / "docs/access.md").read_text()
ROUTES = [route for api in openapi.load(ROOT / "functions").values() for route in api.routes]


def test_the_table_of_actions_is_made_from_the_policy_and_the_routes() -> None:
    assert policy_table.inserted(PAGE, ROUTES) == PAGE, "run make openapi"


def test_the_table_has_every_action_and_every_route_with_a_caller() -> None:
    table = policy_table.tables(ROUTES)

    assert all(f"| `{action}` |" in table for action in ACTIONS)
    paths = {route.path.removeprefix("/api/v1") for route in ROUTES if route.action}
    assert all(path.replace("<", "{").replace(">", "}") in table for path in paths)
