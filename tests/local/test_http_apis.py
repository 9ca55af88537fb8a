"""HTTP APIs and function URLs of environments: permissions, payloads, limits, CORS.

(gateway.py, http_events.py, resource_policy.py, patches/payload_limits.py, function_urls.py)
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.patches.payload_limits import LARGEST_RESULT
from local.platform import Platform
from tests.support.local.lambdas import Function, Stack, function, refused
from tests.support.local.platform import Call

ECHO = {
    "app.py": """
import time
def handler(event, context):
    if event.get("rawPath") == "/slow":
        time.sleep(2)
    if event.get("rawPath") == "/raise":
        raise ValueError("secret")
    if event.get("rawPath") == "/list":
        return ["hello", 3, True]
    if "large" in event:
        return "x" * event["large"]
    return event
"""
}
FORBIDDEN = (403, {"Message": "Forbidden"})
FAILED = (500, {"message": "Internal Server Error"})


@pytest.fixture(scope="module")
def echo(platform: Platform) -> Iterator[Function]:
    with function(platform, ECHO) as made:
        yield made


def api(echo: Function, name: str = "Api", **properties: Any) -> dict[str, Any]:
    """The resources of an API that has one route to the function, which lets it in."""
    more = {
        key: properties.pop(key) for key in ("Integration", "Stage", "Route") if key in properties
    }
    ref = {"Ref": name}
    source = {"Fn::Sub": f"arn:aws:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{{name}}}/*"}
    resources = {
        name: ("Api", {"Name": name, "ProtocolType": "HTTP", **properties}),
        f"{name}Stage": (
            "Stage",
            {"ApiId": ref, "StageName": "$default", "AutoDeploy": True, **more.get("Stage", {})},
        ),
        f"{name}Integration": (
            "Integration",
            {
                "ApiId": ref,
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": echo.arn,
                "PayloadFormatVersion": "2.0",
                **more.get("Integration", {}),
            },
        ),
        f"{name}Route": (
            "Route",
            {
                "ApiId": ref,
                "RouteKey": "$default",
                "Target": {"Fn::Sub": f"integrations/${{{name}Integration}}"},
                **more.get("Route", {}),
            },
        ),
    }
    made = {
        key: {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": each}
        for key, (kind, each) in resources.items()
    }
    made[f"{name}Permission"] = permission(echo, SourceArn=source)
    return made


def permission(echo: Function, **properties: Any) -> dict[str, Any]:
    given = {
        "FunctionName": echo.name,
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
    }
    return {"Type": "AWS::Lambda::Permission", "Properties": given | properties}


def address(platform: Platform, resources: dict[str, Any], name: str = "Api") -> str:
    """Where the API of a stack of these resources answers."""
    stack = Stack(platform)
    outputs = {"Url": {"Value": {"Fn::GetAtt": [name, "ApiEndpoint"]}}}
    assert stack.make({"Resources": resources, "Outputs": outputs}) == "CREATE_COMPLETE"
    return stack.outputs["Url"]


def test_a_route_that_has_no_token_left_answers_as_on_aws(
    platform: Platform, call: Call, echo: Function
) -> None:
    limits = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2}
    here = address(platform, api(echo, Stage={"DefaultRouteSettings": limits}))

    replies = [call(here + "/x") for _ in range(3)]

    assert [each.status for each in replies] == [200, 200, 429]
    assert replies[-1].json == {"message": "Too Many Requests"}


def test_an_api_calls_a_function_that_lets_it_in(
    platform: Platform, call: Call, echo: Function
) -> None:
    resources = api(echo)
    closed = {key: each for key, each in resources.items() if key != "ApiPermission"}

    assert call(address(platform, resources) + "/x").json["rawPath"] == "/x"
    reply = call(address(platform, closed) + "/x")
    assert (reply.status, reply.json) == FAILED


@pytest.mark.parametrize(
    ("below", "status"),
    [("/*/*", 200), ("/*/GET/things/*", 200), ("/$default/GET/things/{id}", 200),
     ("/*/POST/things/*", 500), ("/other/*", 500)],
)  # fmt: skip
def test_a_permission_is_for_its_source(
    platform: Platform, call: Call, echo: Function, below: str, status: int
) -> None:
    resources = api(echo, Route={"RouteKey": "GET /things/{id}"})
    arn = "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}" + below
    source = {"Fn::Sub": arn.replace("${Api}/other", "other")}
    resources["ApiPermission"] = permission(echo, SourceArn=source)

    assert call(address(platform, resources) + "/things/7").status == status


def test_a_permission_for_a_function_does_not_cover_its_alias(
    platform: Platform, call: Call, echo: Function
) -> None:
    echo.client.create_alias(FunctionName=echo.name, Name="live", FunctionVersion=echo.publish())
    resources = api(echo, Integration={"IntegrationUri": f"{echo.arn}:live"})

    assert call(address(platform, resources)).status == 500
    resources["ApiPermission"] = permission(echo, FunctionName=f"{echo.name}:live")
    assert call(address(platform, resources)).status == 200


def test_an_api_without_a_stage_answers_nothing(
    platform: Platform, call: Call, echo: Function
) -> None:
    resources = api(echo, Stage={"StageName": "live", "StageVariables": {"colour": "red"}})

    url = address(platform, resources)
    without, within = call(url + "/x"), call(url + "/live/x")

    assert (without.status, without.json) == (404, {"message": "Not Found"})
    assert within.json["rawPath"] == "/live/x"
    assert within.json["stageVariables"] == {"colour": "red"}


def test_an_api_is_made_of_a_function_in_one_step(
    platform: Platform, call: Call, echo: Function
) -> None:
    properties = {"Name": "quick", "ProtocolType": "HTTP", "Target": echo.arn}
    resources = {
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": properties},
        "Permission": permission(echo),
    }

    event = call(address(platform, resources) + "/x").json

    assert (event["routeKey"], event["requestContext"]["stage"]) == ("$default", "$default")


def test_payload_format_1_is_that_of_rest_apis(
    platform: Platform, call: Call, echo: Function
) -> None:
    # The members are those of AWS's page "Create AWS Lambda proxy integrations for HTTP APIs", 1.0.
    answer = (
        "{'statusCode': 200, 'body': json.dumps(event), 'multiValueHeaders': {'x-many': [1, 2]}}"
    )
    code = {"app.py": f"import json\ndef handler(event, context): return {answer}"}
    with function(platform, code) as made:
        resources = api(
            made,
            Integration={"PayloadFormatVersion": "1.0"},
            Route={"RouteKey": "GET /things/{id}"},
        )
        reply = call(address(platform, resources) + "/things/7?x=1&x=2", Cookie="a=1; b=2")

    event = reply.json
    assert reply.headers.get_all("x-many") == ["1", "2"]
    assert (event["version"], event["resource"]) == ("1.0", "/things/{id}")
    assert (event["path"], event["httpMethod"]) == ("/things/7", "GET")
    assert event["headers"]["cookie"] == "a=1; b=2"
    assert event["multiValueHeaders"]["cookie"] == ["a=1; b=2"]
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["pathParameters"] == {"id": "7"}
    assert (event["body"], event["stageVariables"]) == (None, None)
    context = event["requestContext"]
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert (context["resourcePath"], context["httpMethod"]) == ("/things/{id}", "GET")
    assert context["requestId"] == reply.headers["apigw-requestid"]


def test_a_result_without_a_status_is_compact_json(
    platform: Platform, call: Call, echo: Function
) -> None:
    # LocalStack's recording test_lambda.snapshot.json: test_lambda_url_invocation[list-mixed].
    reply = call(address(platform, api(echo)) + "/list")

    assert (reply.body, reply.headers["content-type"]) == (b'["hello",3,true]', "application/json")


def test_an_integration_that_takes_too_long_is_given_up(
    platform: Platform, call: Call, echo: Function
) -> None:
    resources = api(echo, Integration={"TimeoutInMillis": 300})

    reply = call(address(platform, resources) + "/slow")

    assert (reply.status, reply.json) == (503, {"message": "Service Unavailable"})


def test_a_function_gets_six_megabytes_at_most(
    platform: Platform, call: Call, echo: Function
) -> None:
    url = address(platform, api(echo))

    small = call(url, "POST", b"x" * 4_000_000, Content_Type="application/octet-stream")
    large = call(url, "POST", b"x" * 6_000_000, Content_Type="application/octet-stream")

    assert small.json["isBase64Encoded"] is True
    assert (large.status, large.json) == (413, {"message": "Request Entity Too Large"})


def test_the_head_of_a_request_has_ten_kilobytes_at_most(call: Call) -> None:
    small = call("/things", X_Long="x" * 9_800)
    large = call("/things", X_Long="x" * 10_240)

    assert small.status == 200
    assert (large.status, large.json) == (431, {"message": "Request Header Fields Too Large"})


def test_invoke_takes_six_megabytes_and_one_without_an_answer(echo: Function) -> None:
    invoke = echo.client.invoke
    text = " byte payload is too large for the {} invocation type (limit {} bytes)"
    assert (
        invoke(FunctionName=echo.name, Payload=json.dumps(["x" * 1_000_000]))["StatusCode"] == 200
    )

    for kind, limit in (("RequestResponse", 6_291_456), ("Event", 1_048_576)):
        told = f"{limit + 1}" + text.format(kind, limit)
        with refused("RequestEntityTooLargeException", told):
            invoke(
                FunctionName=echo.name,
                InvocationType=kind,
                Payload=b'"' + b"x" * (limit - 1) + b'"',
            )


def test_a_result_of_more_than_six_megabytes_is_an_error_of_the_function(echo: Function) -> None:
    # LocalStack's recording test_lambda.snapshot.json: test_lambda_too_large_response.
    kind, error = echo.invoke({"large": LARGEST_RESULT - 1})

    assert (kind, error) == (
        "Unhandled",
        {
            "errorMessage": (
                "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
            ),
            "errorType": "Function.ResponseSizeTooLarge",
        },
    )
    kind, text = echo.invoke({"large": LARGEST_RESULT - 2})
    assert (kind, len(text)) == (None, LARGEST_RESULT - 2)


def test_a_templates_cors_answers_preflights_and_overrules_the_function(
    platform: Platform, call: Call, echo: Function
) -> None:
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "MaxAge": 60}
    url = address(platform, api(echo, CorsConfiguration=cors))
    asked = {"Access_Control_Request_Method": "GET"}

    preflight = call(url, "OPTIONS", Origin="https://a.example", **asked)
    strange = call(url, "OPTIONS", Origin="https://b.example", **asked)
    plain = call(url, Origin="https://a.example")

    assert (preflight.status, preflight.headers["access-control-max-age"]) == (204, "60")
    assert (strange.status, strange.headers["access-control-allow-origin"]) == (204, None)
    assert plain.headers.get_all("access-control-allow-origin") == ["https://a.example"]


# --- Function URLs: AWS's pages "Invoking Lambda function URLs", "Control access to ... URLs" ----


VIA = {"InvokedViaFunctionUrl": "true"}


def url_of(
    platform: Platform, echo: Function, *actions: str, kind: str = "NONE", **properties: Any
) -> str:
    """The path of a new URL of the function, for which everybody may do these actions."""
    url = {"TargetFunctionArn": echo.arn, "AuthType": kind, **properties}
    resources: dict[str, Any] = {"Url": {"Type": "AWS::Lambda::Url", "Properties": url}}
    for action in actions:
        given = {"Action": f"lambda:{action}", "Principal": "*"}
        given |= {"InvokeFunctionUrl": {"FunctionUrlAuthType": kind}}.get(action, VIA)
        resources[action] = permission(echo, **given)
    stack = Stack(platform)
    outputs = {"Url": {"Value": {"Fn::GetAtt": ["Url", "FunctionUrl"]}}}
    assert stack.make({"Resources": resources, "Outputs": outputs}) == "CREATE_COMPLETE"
    return stack.outputs["Url"]


@pytest.fixture
def own(platform: Platform) -> Iterator[Function]:
    with function(platform, ECHO) as made:
        yield made


BOTH = ("InvokeFunctionUrl", "InvokeFunction")


def test_a_function_url_answers_like_an_http_api_of_one_route(
    platform: Platform, call: Call, own: Function
) -> None:
    url = url_of(platform, own, *BOTH)

    reply = call(url + "a%20b?x=1", "POST", b"hi", Content_Type="text/plain", Cookie="a=1")

    assert url.endswith("/")
    event = reply.json
    assert (event["rawPath"], event["queryStringParameters"]) == ("/a b", {"x": "1"})
    assert (event["body"], event["cookies"]) == ("hi", ["a=1"])
    context = event["requestContext"]
    assert (context["accountId"], context["stage"]) == ("anonymous", "$default")
    assert context["apiId"] == url.split("/")[5]


@pytest.mark.parametrize("actions", [(), ("InvokeFunctionUrl",), ("InvokeFunction",)])
def test_a_function_url_needs_both_permissions(
    platform: Platform, call: Call, own: Function, actions: tuple[str, ...]
) -> None:
    reply = call(url_of(platform, own, *actions))

    assert (reply.status, reply.json) == FORBIDDEN


def test_a_function_urls_error_is_a_502(platform: Platform, call: Call, own: Function) -> None:
    # LocalStack's test of AWS: TestLambdaURL::test_lambda_url_invocation_exception.
    reply = call(url_of(platform, own, *BOTH) + "raise")

    assert (reply.status, reply.body) == (502, b"Internal Server Error")


def test_a_function_url_with_iam_wants_a_signature(
    platform: Platform, call: Call, own: Function
) -> None:
    reply = call(url_of(platform, own, *BOTH, kind="AWS_IAM"))

    assert (reply.status, reply.json) == FORBIDDEN


def test_a_function_urls_cors_is_the_configured_one(
    platform: Platform, call: Call, own: Function
) -> None:
    url = url_of(platform, own, *BOTH, Cors={"AllowOrigins": ["*"], "AllowMethods": ["GET"]})

    assert (
        call(url, "OPTIONS", Origin="https://a.example").headers["access-control-allow-methods"]
        == "GET"
    )
    assert call(url, Origin="https://a.example").headers["access-control-allow-origin"] == "*"


def test_sam_gives_a_function_url_its_permissions(platform: Platform, call: Call) -> None:
    made = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "InlineCode": "def handler(event, context): return event['rawPath']",
        "FunctionUrlConfig": {"AuthType": "NONE"},
    }
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Web": {"Type": "AWS::Serverless::Function", "Properties": made}},
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["WebUrl", "FunctionUrl"]}}},
    }
    stack = Stack(platform)

    assert stack.make(template) == "CREATE_COMPLETE"
    reply = call(stack.outputs["Url"] + "x")
    assert (reply.status, reply.body) == (200, b"/x")


def test_an_unknown_id_has_no_function_url(platform: Platform, call: Call) -> None:
    reply = call(f"{platform.environments_url}/_aws/lambda-url/" + "a" * 32 + "/")

    assert (reply.status, reply.json) == FORBIDDEN
