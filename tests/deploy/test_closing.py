"""While an undeployment destroys environments, the API takes no request on any route."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deploy import undeploy

STAGE = {"ApiId": "abc", "StageName": "$default"}
OPEN = {"ThrottlingBurstLimit": 60, "ThrottlingRateLimit": 20.0}
ROUTES = {"ANY /api/v1/projects": {"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50.0}}
CLOSED = {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0}
OUTPUTS = [
    {"OutputKey": "ApiId", "OutputValue": "abc"},
    {"OutputKey": "TableName", "OutputValue": "table"},
]


def test_every_route_is_closed_and_opened_again_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = boto3.client("apigatewayv2", region_name="eu-central-1")
    session = SimpleNamespace(client=lambda service: client)

    def fails(*_: Any) -> None:
        # By then the first two requests were sent.
        assert len(stub._queue) == 1
        raise undeploy.Incomplete("An environment cannot be destroyed")

    monkeypatch.setattr(undeploy, "end_environments", fails)
    with Stubber(client) as stub:
        shown = {"StageName": "$default", "DefaultRouteSettings": OPEN, "RouteSettings": ROUTES}
        closed = {"DefaultRouteSettings": CLOSED, "RouteSettings": dict.fromkeys(ROUTES, CLOSED)}
        stub.add_response("get_stage", shown, STAGE)
        stub.add_response("update_stage", {}, {**STAGE, **closed})
        opened = {"DefaultRouteSettings": OPEN, "RouteSettings": ROUTES}
        stub.add_response("update_stage", {}, {**STAGE, **opened})

        with pytest.raises(undeploy.Incomplete):
            undeploy.remove(session, {"StackName": "slipway-dev", "Outputs": OUTPUTS}, 0)
        stub.assert_no_pending_responses()
