"""Authorizers of environments' HTTP APIs (authorizers.py, patches/template_routes.py).

AWS's pages: "Control access to HTTP APIs with JWT authorizers", "... with AWS Lambda authorizers",
"... with IAM authorization", "Troubleshooting issues with HTTP API JWT authorizers".
"""

import base64
import http.server
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.platform import Platform
from tests.support.local.lambdas import Function, Stack, function
from tests.support.local.platform import Call, Reply

UNAUTHORIZED = (401, {"message": "Unauthorized"})
FORBIDDEN = (403, {"message": "Forbidden"})
FAILED = (500, {"message": "Internal Server Error"})

CODE = "def handler(event, context): return event['requestContext'].get('authorizer')"
JUDGE = """
import time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    word = event["identitySource"][0]
    if word == "raise":
        raise ValueError
    if word == "odd":
        return {"allowed": True}
    if not SIMPLE:
        statement = {"Action": "execute-api:Invoke", "Resource": event["routeArn"],
                     "Effect": "Allow" if word == "please" else "Deny"}
        return {"principalId": "me", "context": {"word": word},
                "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    return {"isAuthorized": word == "please", "context": {"word": word, "calls": calls}}
"""


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """An OpenID provider with one key, on loopback."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        public = self.key.public_key().public_numbers()
        key = {
            "kid": "one",
            "kty": "RSA",
            "alg": "RS256",
            "n": number(public.n),
            "e": number(public.e),
        }
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = {
                    "/.well-known/openid-configuration": {"jwks_uri": f"{issuer.url}/keys"},
                    "/keys": {"keys": [key]},
                }.get(self.path)
                body = json.dumps(found).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, key: rsa.RSAPrivateKey | None = None, **claims: Any) -> str:
        """A token for the audience `app`; a claim of None is left out."""
        now = int(time.time())
        given = {"iss": self.url, "aud": "app", "sub": "me", "iat": now, "exp": now + 600} | claims
        kept = {name: value for name, value in given.items() if value is not None}
        text = f"{encoded({'alg': 'RS256', 'kid': 'one'})}.{encoded(kept)}"
        signed = (key or self.key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{encoded(signed)}"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def judges(platform: Platform) -> Iterator[dict[str, Function]]:
    """Lambda authorizers with either kind of answer."""
    with (
        function(platform, {"app.py": "SIMPLE = True" + JUDGE}) as simple,
        function(platform, {"app.py": "SIMPLE = False" + JUDGE}) as policies,
    ):
        for each in (simple, policies):
            each.client.add_permission(
                FunctionName=each.name,
                StatementId="judge",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
            )
        yield {"Simple": simple, "Policies": policies}


AUTHS: dict[str, dict[str, Any]] = {
    "token": {"Authorizer": "Token"},
    "scoped": {"Authorizer": "Token", "AuthorizationScopes": ["write", "admin"]},
    "simple": {"Authorizer": "Simple"},
    "policies": {"Authorizer": "Policies"},
    "iam": {"Authorizer": "AWS_IAM"},
    "open": {"Authorizer": "NONE"},
}


def judge(made: Function, simple: bool) -> dict[str, Any]:
    return {
        "FunctionArn": made.arn,
        "AuthorizerPayloadFormatVersion": "2.0",
        "EnableSimpleResponses": simple,
        "Identity": {"Headers": ["X-Word"], "ReauthorizeEvery": 60},
    }


def event(name: str) -> dict[str, Any]:
    at = {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": f"/{name}"}
    return {"Type": "HttpApi", "Properties": at | {"Auth": AUTHS[name]}}


def template(issuer: Issuer, judges: dict[str, Function]) -> dict[str, Any]:
    """A SAM application with a route for each authorizer."""
    token = {
        "JwtConfiguration": {"issuer": issuer.url, "audience": ["app"]},
        "IdentitySource": "$request.header.Authorization",
    }
    auth = {
        "Authorizers": {
            "Token": token,
            "Simple": judge(judges["Simple"], True),
            "Policies": judge(judges["Policies"], False),
        },
        "EnableIamAuthorizer": True,
        "DefaultAuthorizer": "Token",
    }
    web: dict[str, Any] = {"Runtime": "python3.13", "Handler": "index.handler", "InlineCode": CODE}
    web |= {"Events": {name.title(): event(name) for name in AUTHS}}
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Api": {"Type": "AWS::Serverless::HttpApi", "Properties": {"Auth": auth}},
            "Web": {"Type": "AWS::Serverless::Function", "Properties": web},
        },
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}},
    }


@pytest.fixture(scope="module")
def base(platform: Platform, issuer: Issuer, judges: dict[str, Function]) -> str:
    stack = Stack(platform)
    assert stack.make(template(issuer, judges)) == "CREATE_COMPLETE"
    return stack.outputs["Url"]


@pytest.fixture
def get(call: Call, base: str) -> Callable[..., Reply]:
    return lambda path, **headers: call(f"{base}/{path}", **headers)


def said(reply: Reply) -> tuple[int, Any]:
    return reply.status, reply.json


def test_a_route_without_an_authorizer_is_open(get: Callable[..., Reply]) -> None:
    assert said(get("open")) == (200, None)


def test_a_route_with_jwts_hands_the_claims_on(get: Callable[..., Reply], issuer: Issuer) -> None:
    token = issuer.token(admin=True, groups=["a", "b"], exp=2_000_000_000, iat=1_700_000_000)

    status, authorizer = said(get("token", Authorization=f"Bearer {token}"))

    claims = {"iss": issuer.url, "aud": "app", "sub": "me", "admin": "true", "groups": "[a b]"}
    claims |= {"exp": "2000000000", "iat": "1700000000"}
    assert (status, authorizer) == (200, {"jwt": {"claims": claims, "scopes": None}})


def test_without_a_token_the_answer_says_how_to_come_back(get: Callable[..., Reply]) -> None:
    reply = get("token")

    assert said(reply) == UNAUTHORIZED
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "claims",
    [{"aud": "other"}, {"aud": None}, {"aud": None, "client_id": "other"}, {"iss": "http://x"},
     {"exp": 1}, {"exp": None}, {"nbf": 2_000_000_000}, {"iat": 2_000_000_000}],
)  # fmt: skip
def test_a_token_that_is_not_right_is_unauthorized(
    get: Callable[..., Reply], issuer: Issuer, claims: dict[str, Any]
) -> None:
    reply = get("token", Authorization=f"Bearer {issuer.token(**claims)}")

    assert said(reply) == UNAUTHORIZED
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]


def test_a_forged_token_is_unauthorized(get: Callable[..., Reply], issuer: Issuer) -> None:
    token = issuer.token()
    forged = issuer.token(rsa.generate_private_key(65537, 2048))
    head, body, _ = token.split(".")

    for each in (forged, f"{head}.{body}.", f"{encoded({'alg': 'none'})}.{body}.", "nonsense"):
        assert said(get("token", Authorization=f"Bearer {each}")) == UNAUTHORIZED


def test_a_token_without_an_audience_is_known_by_its_client(
    get: Callable[..., Reply], issuer: Issuer
) -> None:
    token = issuer.token(aud=None, client_id="app")

    assert get("token", Authorization=token).status == 200


@pytest.mark.parametrize("scope", ["write", "read admin"])
def test_a_scoped_route_takes_any_of_its_scopes(
    get: Callable[..., Reply], issuer: Issuer, scope: str
) -> None:
    status, authorizer = said(get("scoped", Authorization=issuer.token(scope=scope)))

    assert (status, authorizer["jwt"]["scopes"]) == (200, sorted(scope.split()))


@pytest.mark.parametrize("scope", [None, "read"])
def test_a_scoped_route_is_forbidden_without_them(
    get: Callable[..., Reply], issuer: Issuer, scope: str | None
) -> None:
    assert said(get("scoped", Authorization=issuer.token(scope=scope))) == FORBIDDEN


@pytest.mark.parametrize("path", ["simple", "policies"])
def test_a_lambda_authorizer_has_the_last_word(get: Callable[..., Reply], path: str) -> None:
    allowed = get(path, X_Word="please")

    assert allowed.status == 200
    assert allowed.json["lambda"]["word"] == "please"
    assert said(get(path, X_Word="now")) == FORBIDDEN
    assert said(get(path)) == UNAUTHORIZED


@pytest.mark.parametrize("path", ["simple", "policies"])
@pytest.mark.parametrize("word", ["raise", "odd"])
def test_a_failing_lambda_authorizer_refuses_every_request(
    get: Callable[..., Reply], path: str, word: str
) -> None:
    assert said(get(path, X_Word=word)) == FAILED


def test_an_answer_of_a_lambda_authorizer_is_cached(get: Callable[..., Reply]) -> None:
    first, second = get("simple", X_Word="please"), get("simple", X_Word="please")

    assert first.json["lambda"]["calls"] == second.json["lambda"]["calls"]


def test_a_lambda_authorizer_without_permission_for_the_api_is_a_500(
    platform: Platform, call: Call, issuer: Issuer, judges: dict[str, Function]
) -> None:
    with function(platform, {"app.py": "SIMPLE = True" + JUDGE}) as closed:
        stack = Stack(platform)
        stack.make(template(issuer, judges | {"Simple": closed}))
        url = stack.outputs["Url"]

        assert said(call(f"{url}/simple", X_Word="please")) == FAILED
        assert call(f"{url}/policies", X_Word="please").status == 200


def headers_of(request: AWSRequest, key: Credentials, service: str) -> dict[str, str]:
    """The headers that sign it."""
    SigV4Auth(key, service, "us-east-1").add_auth(request)
    return {name.replace("-", "_"): value for name, value in request.headers.items()}


@pytest.fixture
def key(platform: Platform) -> Iterator[Callable[..., Credentials]]:
    """Make the key of a user with the right to these actions."""
    iam, names = platform.client("iam"), []

    def make(*actions: str) -> Credentials:
        name = f"user-{uuid.uuid4().hex}"
        names.append(name)
        iam.create_user(UserName=name)
        if actions:
            statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    yield make
    for name in names:
        for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=each["AccessKeyId"])


def test_a_route_with_iam_wants_a_signature_and_a_policy(
    platform: Platform, get: Callable[..., Reply], base: str, key: Callable[..., Credentials]
) -> None:
    def asked(by: Credentials) -> dict[str, str]:
        return headers_of(AWSRequest("GET", f"{base}/iam"), by, "execute-api")

    allowed, other = key("execute-api:Invoke"), key("s3:*")
    wrong = Credentials(allowed.access_key, "wrong")

    reply = get("iam", **asked(allowed))
    assert reply.status == 200
    assert reply.json["iam"]["accessKey"] == allowed.access_key
    for each in (other, wrong, Credentials("AKIAUNKNOWN", "x")):
        assert said(get("iam", **asked(each))) == FORBIDDEN
    assert said(get("iam")) == FORBIDDEN
    assert said(get("iam", Authorization="Bearer x")) == FORBIDDEN


def test_a_function_url_with_iam_wants_a_signature_and_a_policy(
    platform: Platform, call: Call, key: Callable[..., Credentials]
) -> None:
    with function(platform, {"app.py": CODE}) as made:
        url = {"TargetFunctionArn": made.arn, "AuthType": "AWS_IAM"}
        resources = {"Url": {"Type": "AWS::Lambda::Url", "Properties": url}}
        outputs = {"Url": {"Value": {"Fn::GetAtt": ["Url", "FunctionUrl"]}}}
        stack = Stack(platform)
        assert stack.make({"Resources": resources, "Outputs": outputs}) == "CREATE_COMPLETE"
        path = stack.outputs["Url"]

        def asked(by: Credentials) -> Reply:
            request = AWSRequest("GET", path)
            return call(path, **headers_of(request, by, "lambda"))

        allowed = asked(key("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"))
        assert (allowed.status, "iam" in allowed.json) == (200, True)
        assert said(asked(key("s3:*"))) == (403, {"Message": "Forbidden"})
        assert said(call(path)) == (403, {"Message": "Forbidden"})


def test_authorizers_of_a_template_without_a_document_are_heeded(
    platform: Platform, call: Call, issuer: Issuer, judges: dict[str, Function]
) -> None:
    api = {"Ref": "Api"}
    properties: dict[str, tuple[str, dict[str, Any]]] = {
        "Api": ("Api", {"Name": "plain", "ProtocolType": "HTTP", "Target": judges["Simple"].arn}),
        "Token": (
            "Authorizer",
            {
                "ApiId": api,
                "Name": "token",
                "AuthorizerType": "JWT",
                "IdentitySource": ["$request.querystring.token"],
                "JwtConfiguration": {"Issuer": issuer.url, "Audience": ["app"]},
            },
        ),
        "Route": (
            "Route",
            {
                "ApiId": api,
                "RouteKey": "GET /closed",
                "Target": "integrations/$default",
                "AuthorizationType": "JWT",
                "AuthorizerId": {"Ref": "Token"},
            },
        ),
    }
    resources = {
        name: {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": each}
        for name, (kind, each) in properties.items()
    }
    stack = Stack(platform)
    outputs = {"Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}}

    assert stack.make({"Resources": resources, "Outputs": outputs}) == "CREATE_COMPLETE"
    url = stack.outputs["Url"]
    assert said(call(f"{url}/closed")) == UNAUTHORIZED
    assert call(f"{url}/closed?token={issuer.token()}").status == 500  # the judge is no endpoint
    assert call(f"{url}/closed?token={issuer.token(aud='x')}").status == 401
