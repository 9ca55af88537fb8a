"""Routes take as many requests as the stage's settings allow, and answer 429 to the rest."""

import time

import pytest

from local.platform import Platform
from local.throttling import Buckets
from tests.support.local.lambdas import Stack

STAGE = {
    "defaultRouteSettings": {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 2},
    "routeSettings": {"ANY /own": {"throttlingRateLimit": 10.0, "throttlingBurstLimit": 1}},
}
MISSING = "Unable to find Route by key GET /x within the provided RouteSettings"


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(time, "monotonic", lambda: self.now)


def test_a_bucket_holds_the_burst_and_fills_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, buckets = Clock(monkeypatch), Buckets()

    def take(times: int) -> list[bool]:
        return [buckets.allows("api", "$default", "GET /x", STAGE) for _ in range(times)]

    assert take(3) == [True, True, False]
    clock.now += 1
    assert take(2) == [True, False]
    clock.now += 100
    assert take(3) == [True, True, False]


def test_a_route_with_settings_of_its_own_has_a_bucket_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, buckets = Clock(monkeypatch), Buckets()

    def take(route: str, api: str = "api") -> bool:
        return buckets.allows(api, "$default", route, STAGE)

    assert [take("ANY /own"), take("ANY /own")] == [True, False]
    assert [take("GET /x"), take("GET /y"), take("$default")] == [True, True, False]
    assert take("GET /x", "another")
    assert all(buckets.allows("api", "$default", "ANY /own", {}) for _ in range(100))


def test_a_stage_with_settings_of_a_route_that_does_not_exist_is_refused(
    platform: Platform,
) -> None:
    api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "x", "ProtocolType": "HTTP"}}
    settings = {"GET /x": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}}
    stage = {"ApiId": {"Ref": "Api"}, "StageName": "$default", "RouteSettings": settings}
    resources = {"Api": api, "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": stage}}
    stack = Stack(platform)

    assert stack.make({"Resources": resources}) == "ROLLBACK_COMPLETE"
    assert MISSING in stack.reason("Stage")
