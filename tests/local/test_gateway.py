"""The API's port (gateway.py, patches/template_routes.py, api_endpoint.py)."""

import http.client
import json
import re
import time
from typing import Any

import pytest

from local.patches.template_routes import INTEGRATION, routes_of
from local.platform import Platform
from tests.support.local.platform import Call, eventually


def test_routes_come_from_the_templates_events(call: Call) -> None:
    keys = {path: call(path).json["event"]["routeKey"] for path in ("/things", "/things/a/b", "/x")}

    assert keys == {
        "/things": "ANY /things",
        "/things/a/b": "ANY /things/{proxy+}",
        "/x": "$default",
    }


def test_a_greedy_variable_may_be_empty_and_a_route_with_a_trailing_slash_is_never_made(
    call: Call,
) -> None:
    # Both seen on AWS: aws/aws-lambda-go, issue 297; aws/serverless-application-model, issue 1949.
    event = call("/things/").json["event"]
    integration = {"type": "aws_proxy", "uri": "u"}
    body = {
        "paths": {
            path: {"get": {INTEGRATION: integration}} for path in ("/", "/things/", "/things")
        }
    }

    assert (event["routeKey"], event["rawPath"]) == ("ANY /things/{proxy+}", "/things/")
    assert set(routes_of(body)[0]) == {"GET /", "GET /things"}


# "Payload format structure" in AWS's page "Create AWS Lambda proxy integrations for HTTP APIs",
# member by member. `authentication` is there with client certificates alone, `authorizer` with an
# authorizer, `stageVariables` with variables.
EVENT: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "ANY /things/{proxy+}",
    "rawPath": "/things/a b/c",
    "rawQueryString": "x=1&x=2&empty=",
    "cookies": ["one=1", "two=2"],
    "headers": {
        "accept-encoding": "identity",
        "content-length": "8",
        "content-type": "application/json",
        "user-agent": "tests",
        "x-forwarded-for": "192.0.2.1, 127.0.0.1",
        "x-forwarded-proto": "http",
        "x-mixed-case": "Kept",
    },
    "queryStringParameters": {"x": "1,2", "empty": ""},
    "requestContext": {
        "accountId": "000000000000",
        "domainPrefix": "127",
        "http": {
            "method": "POST",
            "path": "/things/a b/c",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "tests",
        },
        "routeKey": "ANY /things/{proxy+}",
        "stage": "$default",
    },
    "body": '{"a": 1}',
    "pathParameters": {"proxy": "a b/c"},
    "isBase64Encoded": False,
}


def test_the_event_is_that_of_an_http_api(call: Call, platform: Platform) -> None:
    reply = call(
        "/things/a%20b%2Fc?x=1&x=2&empty=", "POST", b'{"a": 1}', Content_Type="application/json",
        Cookie="one=1; two=2", User_Agent="tests", X_Mixed_Case="Kept", X_Forwarded_For="192.0.2.1",
    )  # fmt: skip
    event = reply.json["event"]

    host = platform.url.removeprefix("http://")
    headers, context = event["headers"], event["requestContext"]
    assert (headers.pop("host"), context.pop("domainName")) == (host, host)
    assert headers.pop("x-forwarded-port") == str(platform.port)
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", headers.pop("x-amzn-trace-id"))
    assert context.pop("apiId") == platform.outputs["ApiId"]
    request = context.pop("requestId")
    assert request == reply.headers["apigw-requestid"]
    assert re.fullmatch(r"[A-Za-z0-9+/]{15}=", request)
    assert abs(context.pop("timeEpoch") / 1000 - time.time()) < 60
    made = context.pop("time")
    assert re.fullmatch(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000", made)
    assert event == EVENT


def test_lines_of_one_header_are_joined(platform: Platform) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", platform.port)
    connection.putrequest("GET", "/things")
    for name, value in (("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("Cookie", "b=2; c=3")):
        connection.putheader(name, value)
    connection.endheaders()
    event = json.loads(connection.getresponse().read())["event"]
    connection.close()

    assert event["headers"]["x-a"] == "1,2"
    assert event["cookies"] == ["a=1", "b=2", "c=3"]


def test_empty_fields_are_left_out_of_the_event(call: Call) -> None:
    event = call("/things").json["event"]

    absent = {"body", "cookies", "pathParameters", "queryStringParameters"}
    assert absent.isdisjoint(event)


def test_a_form_arrives_in_base64(call: Call) -> None:
    form = "application/x-www-form-urlencoded"

    event = call("/things", "POST", b"a=1", Content_Type=form).json["event"]

    assert (event["body"], event["isBase64Encoded"]) == ("YT0x", True)


def test_bytes_and_cookies_come_back_as_they_were(call: Call) -> None:
    reply = call("/things/binary")

    assert reply.body == b"\x00\x01\x02"
    assert reply.headers.get_all("set-cookie") == ["a=1", "b=2"]


def test_an_answer_without_a_status_is_json(call: Call) -> None:
    reply = call("/things/implicit")

    assert (reply.status, reply.json) == (200, {"greeting": "hi"})
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/things/raise", "/things/exit", "/things/malformed"])
def test_a_functions_failure_is_not_shown_to_the_caller(call: Call, path: str) -> None:
    reply = call(path)

    assert (reply.status, reply.json) == (500, {"message": "Internal Server Error"})


def test_a_head_has_the_headers_and_no_body(call: Call) -> None:
    reply = call("/things", "HEAD")

    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


def test_options_reaches_the_function_without_cors(call: Call) -> None:
    event = call("/things", "OPTIONS").json["event"]

    assert event["requestContext"]["http"]["method"] == "OPTIONS"


def test_a_body_over_ten_megabytes_is_too_large(call: Call) -> None:
    limit = 10 * 2**20

    over = call("/things", "POST", b"x" * (limit + 1))
    assert (over.status, over.json) == (413, {"message": "Request Entity Too Large"})


@pytest.mark.parametrize(
    "path",
    [
        "/things/%00", "/things/%2F..%2F", "/things/%ff%fe", "/things/%0a", "/things/%",
        "/things/%zz", "//things", "/things//a", "/%2e%2e/x", "/things?%ff=%fe",
        "/things?=&&=", "/things?a=%00",
        "/_ministack/health", "/_aws/execute-api/x/y", "/things/" + "a" * 6000,
    ],
)  # fmt: skip
def test_no_path_or_query_upsets_the_gateway(call: Call, path: str) -> None:
    reply = call(path)

    assert reply.status == 200
    assert "routeKey" in reply.json["event"]


def test_no_header_or_body_upsets_the_gateway(platform: Platform) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", platform.port)
    connection.putrequest("POST", "/things", skip_host=True)
    connection.putheader("Host", "else.localhost")
    connection.putheader("X-Bytes", b"\xff\xfe")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "2")
    connection.endheaders(b"\xff\xfe")
    reply = connection.getresponse()

    assert reply.status == 200
    reply.read()
    connection.close()


def test_the_emulator_itself_is_not_on_the_apis_port(call: Call, platform: Platform) -> None:
    target = "DynamoDB_20120810.ListTables"

    reply = call("/", "POST", b"{}", X_Amz_Target=target, Content_Type="application/x-amz-json-1.0")

    assert reply.json["event"]["routeKey"] == "$default"


def test_an_authorizer_that_the_document_does_not_define_is_refused_not_forgotten() -> None:
    integration = {"type": "aws_proxy", "uri": "arn"}
    operation = {"x-amazon-apigateway-integration": integration, "security": [{"Jwt": []}]}

    with pytest.raises(ValueError, match="no authorizer Jwt"):
        routes_of({"paths": {"/x": {"get": operation}}})


def test_a_stage_answers_below_its_name(call: Call, platform: Platform) -> None:
    stages = platform.client("apigatewayv2")
    stages.create_stage(ApiId=platform.outputs["ApiId"], StageName="live")

    event = call("/live/things/7").json["event"]
    root = call("/live").json["event"]
    stages.delete_stage(ApiId=platform.outputs["ApiId"], StageName="live")
    without = call("/live/things/7").json["event"]

    assert (event["routeKey"], event["rawPath"]) == ("ANY /things/{proxy+}", "/live/things/7")
    assert event["pathParameters"] == {"proxy": "7"}
    context = event["requestContext"]
    assert (context["stage"], context["http"]["path"]) == ("live", "/live/things/7")
    assert (root["routeKey"], root["rawPath"]) == ("$default", "/live/")
    assert (without["routeKey"], without["requestContext"]["stage"]) == ("$default", "$default")


def test_an_api_of_a_stack_says_where_it_answers(platform: Platform) -> None:
    client = platform.client("cloudformation")
    template = {
        "Parameters": {"Name": {"Type": "String"}},
        "Resources": {
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {"Name": {"Ref": "Name"}, "ProtocolType": "HTTP"},
            }
        },
        "Outputs": {
            "Id": {"Value": {"Ref": "Api"}},
            "Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
        },
    }
    said = []
    for change, name in ((client.create_stack, "one"), (client.update_stack, "two")):
        change(
            StackName="an-api",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "Name", "ParameterValue": name}],
        )
        said.append(eventually(lambda: _outputs(client, "an-api")))

    assert said[0] == said[1]
    assert said[0]["Url"] == f"{platform.environments_url}/_aws/execute-api/{said[0]['Id']}"


def test_an_address_that_a_stack_puts_together_itself_is_one_that_answers(
    platform: Platform,
) -> None:
    client = platform.client("cloudformation")
    name = "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    values = {
        "Plain": f"https://{name}",
        "Staged": f"https://{name}/live/things",
        "Two": f"https://{name}/ or https://{name}",
        "Longer": f"https://{name}.example.com",
        "Others": "https://abcdef0123.execute-api.us-east-1.amazonaws.com/",
    }
    outputs = {each: {"Value": {"Fn::Sub": value}} for each, value in values.items()}
    outputs["Plain"]["Export"] = {"Name": "its-address"}
    api = {
        "Type": "AWS::ApiGatewayV2::Api",
        "Properties": {"Name": "mine", "ProtocolType": "HTTP"},
    }
    template = {"Resources": {"Api": api}, "Outputs": {"Id": {"Value": {"Ref": "Api"}}, **outputs}}

    client.create_stack(StackName="an-address", TemplateBody=json.dumps(template))
    said = eventually(lambda: _outputs(client, "an-address"))

    address = f"{platform.environments_url}/_aws/execute-api/{said['Id']}"
    assert said == {
        "Id": said["Id"],
        "Plain": address,
        "Staged": f"{address}/live/things",
        "Two": f"{address}/ or {address}",
        "Longer": f"https://{said['Id']}.execute-api.us-east-1.amazonaws.com.example.com",
        "Others": values["Others"],
    }
    exports = {each["Name"]: each["Value"] for each in client.list_exports()["Exports"]}
    assert exports["its-address"] == address


def _outputs(client: Any, name: str) -> dict[str, str] | None:
    [stack] = client.describe_stacks(StackName=name)["Stacks"]
    if stack["StackStatus"].endswith("_IN_PROGRESS"):
        return None
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
