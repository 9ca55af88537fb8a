"""Templates that reach beyond their environment, made as if no check had refused them.

The body of an accepted version is replaced where it is stored, so that CloudFormation gets what the
check never saw. IAM denies it, and nothing outside the environment changes. Templates that keep to
themselves become environments that run.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.platform import REGION, Platform
from tests.support.http_user import Person, send

pytestmark = pytest.mark.xdist_group("e2e stacks")

SECURITY = Path(__file__).parents[1] / "security"
ACCOUNT = "000000000000"
_DENIED = re.compile(r"^# Denied by IAM all the same: (\w+)$", re.MULTILINE)
ATTACKS = {
    path.stem: said[1]
    for path in sorted((SECURITY / "templates").glob("*.yaml"))
    if (said := _DENIED.search(path.read_text()))
}
# Names that an attack may refer to, so that a version of it can be accepted.
HARMLESS = "Resources: {Jobs: {Type: AWS::SQS::Queue}}\n"
BOUNDARY = "Parameters: {PermissionsBoundary: {Type: String}}\n"
ROLE = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST = {
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]
}


def code() -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return event\n")
    return found.getvalue()


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    parameters = {
        "SimulatedSeconds": "0",
        "ArtifactBuckets": "payments-builds",
        "TrustedAccounts": "111122223333",
    }
    with Platform(parameters=parameters) as running:
        yield running


@pytest.fixture(scope="module")
def someone(platform: Platform) -> Person:
    return Person(platform.url).sign_in()


class Victims:
    """Resources of the account that belong to no environment."""

    def __init__(self, platform: Platform) -> None:
        self._of = platform.client
        sqs, sns, s3 = self._of("sqs"), self._of("sns"), self._of("s3")
        self._queue = sqs.create_queue(QueueName="payments")["QueueUrl"]
        self._topics = [sns.create_topic(Name=name)["TopicArn"] for name in ("alarms", "orders")]
        s3.create_bucket(Bucket="company-ci-artifacts")
        s3.put_object(Bucket="company-ci-artifacts", Key="payroll.zip", Body=code())
        iam = self._of("iam")
        role = iam.create_role(RoleName="admin", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.put_role_policy(RoleName="admin", PolicyName="all", PolicyDocument=json.dumps(ROLE))
        self._of("lambda").create_function(
            FunctionName="payroll",
            Runtime="python3.13",
            Handler="index.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": code()},
        )
        # IAM knows APIs by their tags. One without any, such as an API of the account's owner, it
        # cannot tell from the parts of an environment's own, so only the check guards that.
        api = self._of("apigatewayv2").create_api(
            Name="neighbour", ProtocolType="HTTP", Tags={"slipway-scope": "00000000"}
        )
        self.api = str(api["ApiId"])

    def seen(self) -> dict[str, Any]:
        """All that an attack could have changed."""
        sqs, sns, functions = self._of("sqs"), self._of("sns"), self._of("lambda")
        attributes = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["All"])
        apis = self._of("apigatewayv2")
        try:
            policy = functions.get_policy(FunctionName="payroll")["Policy"]
        except functions.exceptions.ResourceNotFoundException:
            policy = None
        mappings = functions.list_event_source_mappings()["EventSourceMappings"]
        return {
            "queue": attributes["Attributes"],
            "topics": [
                sns.get_topic_attributes(TopicArn=arn)["Attributes"] for arn in self._topics
            ],
            "function": policy,
            "mappings": [each["UUID"] for each in mappings],
            "routes": apis.get_routes(ApiId=self.api)["Items"],
            "tables": sorted(self._of("dynamodb").list_tables()["TableNames"]),
            "buckets": sorted(each["Name"] for each in self._of("s3").list_buckets()["Buckets"]),
        }


@pytest.fixture(scope="module")
def victims(platform: Platform) -> Victims:
    return Victims(platform)


@pytest.fixture(scope="module")
def neighbour(someone: Person) -> str:
    """An environment of somebody, which runs."""
    name = added(someone, HARMLESS)
    made = someone.environment(someone.project("neighbours"), "neighbour", template=name)
    seen = someone.wait_for(made["id"], "running", "failed", seconds=60)
    assert seen["status"] == "running", seen
    return str(made["id"])


def added(owner: Person, body: str) -> str:
    """The name of a new template with this as its only version."""
    name = f"t-{secrets.token_hex(4)}"
    assert owner.ask("POST", "/api/v1/templates", {"name": name}).status == 201
    versions = f"/api/v1/templates/{name}/versions"
    answer = send(owner, versions, body)
    assert answer.status == 201, answer.raw
    assert owner.ask("POST", f"{versions}/1.0/publish").status == 200
    return name


def replaced(platform: Platform, template: str, body: str) -> None:
    """Put another body where CloudFormation reads the only version of the template."""
    s3, bucket = platform.client("s3"), platform.outputs["TemplatesBucketName"]
    [found] = s3.list_objects_v2(Bucket=bucket, Prefix=f"templates/{template}/")["Contents"]
    s3.put_object(Bucket=bucket, Key=found["Key"], Body=body.encode())


@pytest.mark.parametrize("attack", ATTACKS)
def test_iam_denies_what_the_check_has_not_seen(
    platform: Platform, someone: Person, victims: Victims, neighbour: str, attack: str
) -> None:
    body = (SECURITY / "templates" / f"{attack}.yaml").read_text()
    body = body.replace("123456789012", ACCOUNT).replace("eu-central-1", REGION)
    body = body.replace("a1b2c3d4e5", victims.api)
    name = added(someone, (BOUNDARY if "PermissionsBoundary: {" in body else "") + HARMLESS)
    replaced(platform, name, body)
    before = victims.seen()
    project = someone.project(f"attack-{secrets.token_hex(4)}")

    made = someone.environment(project, "attack", template=name)
    ended = someone.wait_for(made["id"], "running", "failed", seconds=60)

    assert ended["status"] == "failed", f"{attack} is running"
    reason = ended["failure"]["reason"]
    assert f"{ATTACKS[attack]} (AWS::" in reason
    assert re.search(r"AccessDenied|not authorized|does not have permissions", reason), reason
    assert victims.seen() == before
    assert someone.see(neighbour)["status"] == "running"


@pytest.mark.parametrize(
    "path", sorted((SECURITY / "legitimate").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_template_that_keeps_to_itself_runs(
    platform: Platform, someone: Person, path: Path
) -> None:
    s3 = platform.client("s3")
    s3.create_bucket(Bucket="payments-builds")
    for key in ("none.zip", "web.zip", "worker.zip"):
        s3.put_object(Bucket="payments-builds", Key=key, Body=code())
    name = added(someone, path.read_text())
    project = someone.project(f"fine-{secrets.token_hex(4)}")

    made = someone.environment(project, "fine", template=name)
    ended = someone.wait_for(made["id"], "running", "failed", seconds=120)

    assert ended["status"] == "running", ended["failure"]
