"""The rule that runs reconcile, switched off and on by the platform itself."""

from __future__ import annotations

import pytest

from local.platform import Platform
from tests.support.http_user import Person, until

pytestmark = pytest.mark.xdist_group("e2e")


def test_an_unused_platform_runs_nothing_until_it_is_used() -> None:
    with Platform(parameters={"SimulatedSeconds": "0"}) as platform:
        events = platform.client("events")

        def rule() -> str:
            return str(events.describe_rule(Name="slipway-reconcile")["State"])

        def reconcile() -> None:
            name = platform.outputs["ReconcileFunctionName"]
            answer = platform.client("lambda").invoke(FunctionName=name, Payload="{}")
            assert "FunctionError" not in answer, answer["Payload"].read()

        made = rule()
        reconcile()
        unused = rule()
        someone = Person(platform.url).sign_in()
        environment = someone.environment(someone.project())["id"]
        until(lambda: rule() == "ENABLED")
        someone.wait_for(environment, "running")
        reconcile()

        assert (made, unused, rule()) == ("ENABLED", "DISABLED", "ENABLED")
