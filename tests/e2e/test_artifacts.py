"""Code that deployments bring, with a queue and a schedule, and values that the operator shares."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local.parameters import BUILDS
from local.platform import Platform
from slipway.importers.proton import importing
from tests.support.http_user import DIRECT, Person, until
from tests.support.importers.bundles import BUNDLES
from tests.support.local.platform import eventually

pytestmark = pytest.mark.xdist_group("e2e stacks")

BOARD = Path(__file__).parents[2] / "examples/job-board"
SHARED = """
Parameters:
  Version: {Type: String, Default: none}
  Who: {Type: String, Default: everybody}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      Tags:
        - {Key: version, Value: !Ref Version}
        - {Key: plain, Value: "{{resolve:ssm:/slipway/shared/greeting}}"}
        - {Key: second, Value: "{{resolve:ssm:/slipway/shared/greeting:1}}"}
        - {Key: part, Value: "{{resolve:secretsmanager:slipway/shared/db:SecretString:password}}"}
        - {Key: text, Value: !Sub "{{resolve:ssm:/slipway/shared/greeting}} to ${Who}"}
        - {Key: whole, Value: "{{resolve:secretsmanager:slipway/shared/word}}"}
"""


def published(owner: Person, name: str, body: str) -> str:
    path = f"/api/v1/templates/{name}/versions"
    assert owner.ask("POST", "/api/v1/templates", {"name": name}).status == 201
    added = owner.ask("POST", path, text=body, media="application/yaml")
    assert added.status == 201, added.raw
    assert added.body["warnings"] == []
    assert owner.ask("POST", f"{path}/1.0/publish").status == 200
    return name


def upload(platform: Platform, key: str, code: str) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("app.py", code)
    platform.client("s3").put_object(Bucket=BUILDS, Key=key, Body=archive.getvalue())
    return f"s3://{BUILDS}/{key}"


def deployed(user: Person, environment: str, version: str, artifact: str) -> str:
    path = f"/api/v1/deployments/environments/{environment}"
    made = user.ask("POST", path, {"version": version, "artifact": artifact})
    assert made.status == 201, made.raw
    user.wait_for(made.body["id"], "succeeded", seconds=60)
    return str(user.see(environment)["base_url"])


def page(url: str, method: str = "GET") -> str:
    with DIRECT.open(urllib.request.Request(url, method=method), timeout=20) as answer:
        return str(answer.read().decode())


class Board(NamedTuple):
    owner: Person
    environment: str
    url: str


@pytest.fixture(scope="module")
def board(platform: Platform) -> Board:
    """The job board with its first version, made once: its schedule takes a minute."""
    owner = Person(platform.url).sign_in()
    template = published(owner, "job-board", (BOARD / "template.yaml").read_text())
    made = owner.environment(owner.project(), template=template)["id"]
    assert owner.wait_for(made, "running")["base_url"] is None
    artifact = upload(platform, "job-board/v1.zip", (BOARD / "app.py").read_text())
    return Board(owner, made, deployed(owner, made, "v1", artifact))


def test_the_job_board_runs_the_code_that_a_deployment_brings(
    platform: Platform, board: Board
) -> None:
    assert page(f"{board.url}/").startswith("Job board, version v1\n")
    page(f"{board.url}/jobs", "POST")
    until(lambda: "jobs of the visitor: 1 done, the last by v1" in page(f"{board.url}/"))

    other = (BOARD / "app.py").read_text().replace("Job board, version", "All jobs, version")
    artifact = upload(platform, "job-board/a/b/v2.zip", other)
    assert deployed(board.owner, board.environment, "v2", artifact) == board.url

    assert page(f"{board.url}/").startswith("All jobs, version v2\n")
    refused = board.owner.deploy(board.environment, "v3")
    assert (refused.status, refused.body["errors"][0]["pointer"]) == (422, "#/artifact")


def test_an_environment_reads_what_is_shared_and_nothing_else(
    platform: Platform, someone: Person
) -> None:
    ssm, secrets = platform.client("ssm"), platform.client("secretsmanager")
    ssm.put_parameter(Name="/slipway/shared/greeting", Type="String", Value="good morning")
    ssm.put_parameter(Name="/payroll", Type="String", Value="a million")
    secrets.create_secret(Name="slipway/shared/db", SecretString=json.dumps({"password": "pw-1"}))
    secrets.create_secret(Name="slipway/shared/word", SecretString="sesame")
    template = published(someone, "shared", SHARED)
    project = someone.project()

    made = someone.environment(project, template=template)["id"]
    stack_id = someone.wait_for(made, "running")["stack_id"]

    found = tags(platform, stack_id)
    assert found["plain"] == found["second"] == "good morning"
    assert (found["part"], found["whole"]) == ("pw-1", "sesame")
    assert found["text"] == "good morning to everybody"
    for name in ("{{resolve:ssm:/slipway/shared/greeting}}", "x{"):
        body: dict[str, Any] = {"name": name, "type": "persistent", "template": template}
        path = f"/api/v1/environments/projects/{project}"
        assert someone.ask("POST", path, body).status == 422
        body = {"name": "y", "type": "persistent", "template": template, "inputs": {"Who": name}}
        assert someone.ask("POST", path, body).status == 422


PUBLIC = """
Parameters:
  Version: {Type: String, Default: none}
  Image:
    Type: AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>
    Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {Tags: [{Key: version, Value: !Ref Version}, {Key: image, Value: !Ref Image}]}
"""


def planned(user: Person, path: str, body: dict[str, Any]) -> str:
    """The status of the plan's change set."""

    def looked_at() -> str | None:
        answer = user.ask("POST", path, body)
        assert answer.status == 200, answer.raw
        status = str(answer.body["change_set"]["status"])
        return None if status == "pending" else status

    return eventually(looked_at)


def test_an_environment_reads_public_parameters_of_aws_and_no_other(
    platform: Platform, someone: Person
) -> None:
    """It is made, planned for, updated and deployed to with the rights of those functions."""
    images = "/aws/service/ami-amazon-linux-latest"
    template = published(someone, "public", PUBLIC)
    project = someone.project()
    made = someone.environment(project, template=template)["id"]
    stack_id = someone.wait_for(made, "running")["stack_id"]
    first = tags(platform, stack_id)["image"]
    assert first.startswith("ami-")

    for name in ("/payroll", f"/slipway/environments/{made}/Password", f"{images}/x:1"):
        body: dict[str, Any] = {"name": "y", "type": "persistent", "template": template}
        body["inputs"] = {"Image": name}
        path = f"/api/v1/environments/projects/{project}"
        answer = someone.ask("POST", path, body)
        assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "#/inputs/Image")

    body["inputs"] = {"Image": f"{images}/amzn2-ami-hvm-x86_64-gp2"}
    update = f"/api/v1/environments/{made}/update?dry_run=true"
    for inputs, status in ((body["inputs"], "ready"), ({"Image": "/aws/service/x"}, "failed")):
        assert planned(someone, f"{path}?dry_run=true", body | {"inputs": inputs}) == status
        assert planned(someone, update, {"inputs": inputs}) == status
    other = someone.ask("POST", path, body)
    assert other.status == 201, other.raw
    stack_id = someone.wait_for(other.body["id"], "running")["stack_id"]
    second = tags(platform, stack_id)["image"]
    assert second.startswith("ami-") and second != first
    someone.wait_for(someone.deploy(other.body["id"], "v1").body["id"], "succeeded", seconds=60)
    assert tags(platform, stack_id) | {"image": second, "version": "v1"} == tags(platform, stack_id)

    body |= {"name": "z", "inputs": {"Image": "/aws/service/nothing"}}
    failed = someone.ask("POST", path, body).body["id"]
    reason = str(someone.wait_for(failed, "failed")["failure"])
    assert "Unable to fetch parameters [/aws/service/nothing] from parameter store" in reason


def test_a_shared_value_that_is_not_there_is_named_in_the_failure(
    platform: Platform, someone: Person
) -> None:
    body = """
Parameters: {Version: {Type: String}}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      Tags:
        - {Key: a, Value: "{{resolve:ssm:/slipway/shared/nobody}}"}
        - {Key: v, Value: !Ref Version}
"""
    template = published(someone, "missing-value", body)
    made = someone.environment(someone.project(), template=template)["id"]

    failure = someone.wait_for(made, "failed")["failure"]

    assert "/slipway/shared/nobody" in failure["reason"]


def test_an_environment_is_made_of_a_proton_bundle_with_inputs_where_sam_reads(
    platform: Platform, someone: Person
) -> None:
    found = importing.read(BUNDLES / "archive")
    assert found.refused == []
    # The bundle's own default, and then what a deployment brings.
    code = "def handler(event, context): return {'statusCode': 200, 'body': 'first'}"
    upload(platform, "proton/app1.zip", code)
    template = published(someone, "from-proton", found.body)
    made = someone.environment(someone.project(), template=template)["id"]
    someone.wait_for(made, "running")

    address = api_of(platform, someone.see(made)["stack_id"])
    assert page(f"{platform.environments_url}/_aws/execute-api/{address}/thing") == "first"
    deployed(someone, made, "v2", upload(platform, "a/v2.zip", code.replace("first", "second")))

    assert page(f"{platform.environments_url}/_aws/execute-api/{address}/thing") == "second"


def test_the_schedule_of_the_job_board_has_put_a_job_into_the_queue(board: Board) -> None:
    # The shortest rate is a minute, and EventBridge looks every few seconds.
    until(lambda: "jobs of the schedule: " in page(f"{board.url}/"), 100)

    path = f"/api/v1/environments/{board.environment}"
    assert board.owner.ask("DELETE", path).status in (200, 202)
    board.owner.wait_for(board.environment, "destroyed", seconds=60)


def api_of(platform: Platform, stack_id: str) -> str:
    listed = platform.client("cloudformation").list_stack_resources(StackName=stack_id)
    return next(
        str(each["PhysicalResourceId"])
        for each in listed["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::ApiGatewayV2::Api"
    )


def tags(platform: Platform, stack_id: str) -> dict[str, Any]:
    listed = platform.client("cloudformation").list_stack_resources(StackName=stack_id)
    [jobs] = listed["StackResourceSummaries"]
    found = platform.client("sqs").list_queue_tags(QueueUrl=jobs["PhysicalResourceId"])
    return dict(found["Tags"])
