"""What runs in an environment, on the laptop: its lines, followed by pages and by event streams."""

from __future__ import annotations

import json
import secrets as random
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.domain.masking import WITHHELD
from tests.support.event_source import EventSource, Response
from tests.support.http_user import DIRECT, Person, send, until

pytestmark = pytest.mark.xdist_group("e2e")

HELLO = Path(__file__).parents[2] / "examples/hello-web/template.yaml"
SECRET = "s3cret-0123456789"
# It writes what it is asked to, and the secret, into the log group that Lambda makes by default.
TALKER = """
Parameters:
  Password: {Type: String, NoEcho: true}
  PermissionsBoundary: {Type: String}
  Version: {Type: String, Default: none}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      PermissionsBoundary: !Ref PermissionsBoundary
  Talker:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Environment: {Variables: {PASSWORD: !Ref Password}}
      Code:
        ZipFile: |
          import json, os

          def handler(event, context):
              first, last = (int(part) for part in event["rawPath"].strip("/").split("-"))
              for n in range(first, last):
                  line = {"level": "INFO", "message": f"line {n:05}"}
                  print(json.dumps(line | {"request_id": context.aws_request_id}))
              print("the password is", os.environ["PASSWORD"])
              return "said"
  Url:
    Type: AWS::Lambda::Url
    Properties: {AuthType: NONE, TargetFunctionArn: !GetAtt Talker.Arn}
  ByUrl:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunctionUrl
      FunctionName: !GetAtt Talker.Arn
      Principal: "*"
      FunctionUrlAuthType: NONE
  Invoked:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !GetAtt Talker.Arn
      Principal: "*"
      InvokedViaFunctionUrl: true
Outputs:
  Url: {Value: !GetAtt Url.FunctionUrl}
"""


def published(someone: Person, body: str) -> str:
    name = f"runs-{random.token_hex(4)}"
    someone.ask("POST", "/api/v1/templates", {"name": name})
    added = send(someone, f"/api/v1/templates/{name}/versions", body)
    assert added.status == 201, added.body
    someone.ask("POST", f"/api/v1/templates/{name}/versions/1.0/publish")
    return name


def running(someone: Person, body: str, **wanted: Any) -> dict[str, Any]:
    template = published(someone, body)
    made = someone.environment(someone.project(), template=template, **wanted)
    return someone.wait_for(made["id"], "running", seconds=60)


def get(url: str) -> str:
    with DIRECT.open(url, timeout=20) as answer:
        return str(answer.read().decode())


def pages(someone: Person, path: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of the log, by their links."""
    while path:
        page = someone.ask("GET", path)
        assert page.status == 200, page.raw
        yield page.body
        url = page.headers.get("Link", "").removeprefix("<").partition(">")[0]
        path = url[url.find("/api/") :] if url else ""


def test_the_laptop_shows_the_lines_of_hello_web(someone: Person) -> None:
    made = running(someone, HELLO.read_text(), inputs={"Greeting": "Hi"})
    deployment = someone.deploy(made["id"], "v1").body
    someone.wait_for(deployment["id"], "succeeded", seconds=60)
    assert get(made["base_url"]).startswith("Hi from")
    path = f"/api/v1/environments/{made['id']}/runtime-logs"

    def lines() -> list[dict[str, Any]]:
        answer = someone.ask("GET", path)
        assert answer.status == 200, answer.raw
        return [line for line in answer.body if line["message"].startswith("REPORT")]

    [report] = until(lines)

    assert report["source"] == "Web"
    assert report["deployment_id"] == deployment["id"]
    assert report["request_id"] in report["message"]
    assert someone.ask("GET", f"{path}?source=Api").status == 422

    def counted() -> Any:
        answer = someone.ask("GET", f"/api/v1/environments/{made['id']}/metrics")
        assert answer.status == 200, answer.raw
        minutes = answer.body["minutes"]
        return answer.body if sum(each["invocations"] for each in minutes) else None

    told = until(counted)
    assert sum(each["errors"] for each in told["minutes"]) == 0
    assert [each["deployment_id"] for each in told["deployments"]] == [deployment["id"]]
    assert someone.ask("GET", f"{path}?filter=nowhere").body == []


def test_lines_are_followed_masked_and_kept_after_the_end(someone: Person) -> None:
    made = running(someone, TALKER, inputs={"Password": SECRET})
    path = f"/api/v1/environments/{made['id']}/runtime-logs"

    def ask(headers: dict[str, str]) -> Response:
        headers = {**headers, "Prefer": "wait=0", "Authorization": f"Bearer {someone.token}"}
        request = urllib.request.Request(f"{someone.url}{path}?limit=50", headers=headers)
        with DIRECT.open(request, timeout=30) as answer:
            # Every third connection is cut.
            size = -1 if stream.asked % 3 else 4_000
            return Response(answer.status, answer.headers["Content-Type"] or "", answer.read(size))

    stream = EventSource(ask)
    by_pages: list[dict[str, Any]] = []
    followed = pages(someone, f"{path}?limit=100")
    url = made["base_url"].rstrip("/")

    def numbered(lines: list[dict[str, Any]]) -> list[str]:
        return [line["message"] for line in lines if line["message"].startswith("line ")]

    for first in range(0, 400, 20):
        assert get(f"{url}/{first}-{first + 20}") == "said"
        stream.connect()
        by_pages += next(followed)
    wanted = [f"line {n:05}" for n in range(400)]

    def all_came() -> bool:
        stream.connect()
        by_pages.extend(next(followed))
        by_stream = [json.loads(each) for each in stream.data]
        return len(numbered(by_stream)) >= 400 and len(numbered(by_pages)) >= 400

    until(all_came, seconds=90)
    by_stream = [json.loads(each) for each in stream.data]
    assert sorted(numbered(by_stream)) == wanted
    assert sorted(numbered(by_pages)) == wanted
    told = json.dumps([by_stream, by_pages])
    assert SECRET not in told
    assert "the password is ****" in told
    line = next(line for line in by_pages if line["message"] == "line 00000")
    assert (line["source"], line["level"]) == ("Talker", "info")
    assert line["request_id"]

    someone.ask("DELETE", f"/api/v1/environments/{made['id']}")
    someone.wait_for(made["id"], "destroyed", seconds=60)
    after = [line for page, _ in zip(pages(someone, path), range(9), strict=False) for line in page]
    # Its secrets are gone, so that nobody knows any more what to mask.
    assert {line["message"] for line in after} == {WITHHELD}
