"""A web page in the developer's browser can change nothing."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.browsers import Allowed, name_of, wrong_host, wrong_origin
from local.platform import Platform
from tests.support.local.lambdas import Function, Stack
from tests.support.local.platform import Reply

EVIL = "https://evil.example"
REBOUND = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example",
           "127.0.0.1@evil.example", "evillocalhost", "0.0.0.0", "169.254.169.254", "192.168.1.20",
           "127.0.0.2", "[::]", "xn--localhost", "localhost.", ""]  # fmt: skip
WRITES = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]
# Every request that a browser sends to another origin without asking it first, and a preflight.
SIMPLE = [
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {},
]
CODE = {"FunctionName": "pwned", "Role": "arn:aws:iam::000000000000:role/test", "Handler": "i.h",
        "Runtime": "python3.13", "Code": {"ZipFile": ""}}  # fmt: skip


def raw(port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Reply:
    """Send exactly these headers; http.client would add a Host of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    try:
        return Reply(answer.status, answer.msg, answer.read())
    finally:
        connection.close()


def ports(platform: Platform) -> dict[str, int]:
    return {
        "API": platform.port,
        "environments": platform.environments_port,
        "AWS": int(platform.endpoint.rpartition(":")[2]),
    }


def has_cors(reply: Reply) -> bool:
    return any(name.lower().startswith("access-control-") for name in reply.headers)


# --- Host -------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["API", "environments", "AWS"])
@pytest.mark.parametrize("host", REBOUND)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_name_that_is_rebound_to_this_machine_reaches_nothing(
    platform: Platform, port: str, host: str, method: str
) -> None:
    reply = raw(ports(platform)[port], method, "/things", {"Host": host})

    assert reply.status == 421
    assert reply.json["message"].startswith("Host is not a name of this machine. Use one of ")
    assert not has_cors(reply)


@pytest.mark.parametrize("port", ["API", "environments", "AWS"])
def test_two_hosts_or_none_are_refused(platform: Platform, port: str) -> None:
    number = ports(platform)[port]
    with socket.create_connection(("127.0.0.1", number), 10) as connection:
        lines = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Host: evil.example", "Connection: close"]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(64).split()[1] == b"400"
    with socket.create_connection(("127.0.0.1", number), 10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(64).split()[1] == b"400"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
@pytest.mark.parametrize("suffix", ["", ":8000", ":443"])
def test_the_names_of_loopback_are_accepted_with_any_port(
    platform: Platform, host: str, suffix: str
) -> None:
    assert raw(platform.port, "GET", "/things", {"Host": host + suffix}).status == 200


def test_the_name_in_public_url_is_accepted() -> None:
    scope = {"method": "GET", "headers": [(b"host", b"slipway.example.com:8443")]}

    assert wrong_host(scope, Allowed())
    assert not wrong_host(scope, Allowed.of([], "", "https://slipway.example.com:8443"))


def test_a_host_is_read_without_its_port() -> None:
    assert name_of("[::1]:8000") == name_of("[::1]") == "[::1]"
    assert name_of("Localhost:1") == "localhost"
    assert name_of("::1") == ":"  # no valid Host, and no name of this machine


# --- Origin -----------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["API", "AWS"])
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1:5173", "file://", ""])
def test_a_page_of_another_origin_changes_nothing(
    platform: Platform, port: str, method: str, origin: str
) -> None:
    number = ports(platform)[port]
    for headers in SIMPLE:
        sent = {"Host": f"127.0.0.1:{number}", "Origin": origin, **headers}

        reply = raw(number, method, "/things", sent, b'{"a": 1}')

        assert reply.status == 403
        assert reply.json["message"].startswith("Pages of this Origin may not change anything")
        assert not has_cors(reply)


def test_an_environments_page_is_of_another_origin_than_the_platform(platform: Platform) -> None:
    sent = {"Host": f"127.0.0.1:{platform.port}", "Origin": platform.environments_url}

    assert raw(platform.port, "POST", "/things", sent).status == 403
    assert raw(platform.port, "GET", "/things", sent).status == 200
    assert not has_cors(raw(platform.port, "GET", "/things", sent))


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_platforms_own_pages_may_change_things(platform: Platform, name: str) -> None:
    host = f"{name}:{platform.port}"

    reply = raw(platform.port, "POST", "/things", {"Host": host, "Origin": f"http://{host}"})

    assert reply.status == 200


def test_the_origins_in_cors_origins_may_change_things() -> None:
    def asked(origin: str) -> dict[str, Any]:
        headers = [(b"host", b"127.0.0.1:8000"), (b"origin", origin.encode())]
        return {"method": "POST", "headers": headers}

    allowed = Allowed.of([], "https://portal.example.com,http://localhost:5173", "")

    assert not wrong_origin(asked("http://localhost:5173"), allowed)
    assert not wrong_origin(asked("https://portal.example.com"), allowed)
    for origin in (EVIL, "null", "", "https://portal.example.com.evil.example", "*"):
        assert wrong_origin(asked(origin), allowed)


def test_two_origins_are_refused() -> None:
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"Origin", b"null")]

    assert wrong_origin({"method": "POST", "headers": headers}, Allowed())


def test_the_attack_that_made_a_function_from_a_web_page_fails(platform: Platform) -> None:
    number = ports(platform)["AWS"]
    body = json.dumps(CODE).encode()
    attack = {"Host": f"127.0.0.1:{number}", "Content-Type": "text/plain", "Origin": EVIL}

    crossed = raw(number, "POST", "/2015-03-31/functions", attack, body)
    del attack["Origin"]
    without = raw(number, "POST", "/2015-03-31/functions", attack, body)
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST", "Host": attack["Host"]}
    preflight = raw(number, "OPTIONS", "/2015-03-31/functions", asked)

    assert (crossed.status, without.status, preflight.status) == (403, 403, 403)
    functions = platform.client("lambda").list_functions()["Functions"]
    assert "pwned" not in {each["FunctionName"] for each in functions}


def test_no_answer_of_aws_invites_pages_of_other_origins(platform: Platform) -> None:
    number = ports(platform)["AWS"]
    here = {"Host": f"127.0.0.1:{number}", "Origin": EVIL}
    signed = AWSRequest("GET", f"{platform.endpoint}/2015-03-31/functions/", headers=here)
    owner = Credentials(platform.owner.id, platform.owner.secret)
    SigV4Auth(owner, "lambda", "us-east-1").add_auth(signed)

    answers = {
        path: raw(number, "GET", path, here)
        for path in ("/", "/_ministack/health", "/x-bucket/key", "/2015-03-31/functions")
    }
    answers["signed"] = raw(number, "GET", "/2015-03-31/functions/", dict(signed.headers))

    assert answers["signed"].status == answers["/_ministack/health"].status == 200
    assert [path for path, reply in answers.items() if has_cors(reply)] == []


# --- environments have an origin of their own -------------------------------------------------


@pytest.fixture(scope="module")
def web(platform: Platform) -> Iterator[str]:
    """The id of an HTTP API whose page tells what it was asked."""
    code = "def handler(event, context):\n    return {'path': event['rawPath']}\n"
    function = Function(platform, {"app.py": code})
    function.client.add_permission(
        FunctionName=function.name,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    apis = platform.client("apigatewayv2")
    made: str = apis.create_api(Name="web", ProtocolType="HTTP")["ApiId"]
    integration = apis.create_integration(
        ApiId=made,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function.arn,
        PayloadFormatVersion="2.0",
    )
    target = f"integrations/{integration['IntegrationId']}"
    apis.create_route(ApiId=made, RouteKey="$default", Target=target)
    apis.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    yield made
    apis.delete_api(ApiId=made)


def test_an_environment_answers_on_its_port_below_its_path_and_under_its_name(
    platform: Platform, web: str
) -> None:
    number = platform.environments_port

    by_path = raw(number, "GET", f"/_aws/execute-api/{web}/x", {"Host": f"127.0.0.1:{number}"})
    by_name = raw(number, "GET", "/x", {"Host": f"{web}.localhost:{number}"})

    assert by_path.json == by_name.json == {"path": "/x"}


def test_an_environment_does_not_answer_on_the_platforms_port(platform: Platform, web: str) -> None:
    below = raw(platform.port, "GET", f"/_aws/execute-api/{web}/x", {"Host": "127.0.0.1"})
    named = raw(platform.port, "GET", "/things", {"Host": f"{web}.localhost"})

    # The platform's own routes answer, as for any path.
    assert below.json["event"]["routeKey"] == "$default"
    assert named.json["event"]["routeKey"] == "ANY /things"


def test_the_platform_does_not_answer_on_the_environments_port(platform: Platform) -> None:
    number, own = platform.environments_port, platform.outputs["ApiId"]

    for path, host in (
        ("/things", "127.0.0.1"),
        (f"/_aws/execute-api/{own}/things", "127.0.0.1"),
        ("/things", f"{own}.localhost"),
        (f"/_aws/execute-api/{own}/things", f"{own}.localhost"),
    ):
        assert raw(number, "GET", path, {"Host": host}).status == 404


def test_an_environment_decides_itself_which_origins_may_call_it(
    platform: Platform, web: str
) -> None:
    sent = {"Host": f"{web}.localhost", "Origin": EVIL}

    reply = raw(platform.environments_port, "POST", "/x", sent)

    assert (reply.status, has_cors(reply)) == (200, False)


def test_a_preflight_reaches_a_function_whose_api_has_no_cors_configuration(
    platform: Platform,
) -> None:
    host = f"127.0.0.1:{platform.port}"
    asked = {"Origin": f"http://{host}", "Access-Control-Request-Method": "PATCH", "Host": host}

    reply = raw(platform.port, "OPTIONS", "/things", asked)

    assert reply.json["event"]["requestContext"]["http"]["method"] == "OPTIONS"
    assert reply.json["event"]["routeKey"] == "ANY /things"
    assert not has_cors(reply)


def test_the_stacks_own_url_is_that_of_the_platform(platform: Platform) -> None:
    template = {
        "Resources": {
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {"Name": "other", "ProtocolType": "HTTP"},
            }
        },
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}},
    }
    other = Stack(platform)
    assert other.make(template) == "CREATE_COMPLETE"

    assert other.outputs["Url"].startswith(platform.environments_url + "/")
