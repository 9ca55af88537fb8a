"""The whole life of a stack in an account: what `make deploy` and `make undeploy` run, with SAM.

The account is the embedded one, with nothing in it. The sources are copied, to be changed. SAM runs
in its own environment (.venv-sam), and builds for the processor and the Python that are here.
"""

from __future__ import annotations

import json
import os
import platform as machine
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy import leftovers, undeploy
from local.package import load_yaml
from local.platform import REGION, Platform
from slipway.domain import scope
from tests.support.http_user import PASSWORD, Person, until
from tests.support.repository import ROOT

STACK = "slipway-dev"
SAM = ROOT / ".venv-sam/bin/python"
COPIED = (
    "alarms",
    "deploy",
    "functions",
    "layers",
    "local",
    "policies",
    "statemachines",
    "throttling",
)
RUNTIME = "python{}.{}".format(*sys.version_info)
# Each kind of thing that a stack is made of, and that it could leave behind.
LISTS = {
    "api": ("apigatewayv2", "get_apis", "Items", "Name"),
    "alarm": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "bucket": ("s3", "list_buckets", "Buckets", "Name"),
    "function": ("lambda", "list_functions", "Functions", "FunctionName"),
    "layer": ("lambda", "list_layers", "Layers", "LayerName"),
    "log group": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "mapping": ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    "parameter": ("ssm", "describe_parameters", "Parameters", "Name"),
    "policy": ("iam", "list_policies", "Policies", "PolicyName"),
    "role": ("iam", "list_roles", "Roles", "RoleName"),
    "rule": ("events", "list_rules", "Rules", "Name"),
    "secret": ("secretsmanager", "list_secrets", "SecretList", "Name"),
    "state machine": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    "table": ("dynamodb", "list_tables", "TableNames", None),
    "topic": ("sns", "list_topics", "Topics", "TopicArn"),
    "queue": ("sqs", "list_queues", "QueueUrls", None),
}


@dataclass
class Account:
    """An AWS account, and a checkout whose stack is in it."""

    platform: Platform
    sources: Path

    def run(
        self, program: Path, *arguments: str, path: str = "", region: str = "AWS_REGION"
    ) -> subprocess.CompletedProcess[str]:
        """A program as a shell would run it that has this account's credentials."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [str(program), *arguments],
            cwd=self.sources,
            env={
                **environment,
                "PYTHONPATH": path,
                "AWS_ENDPOINT_URL": self.platform.endpoint,
                **self.platform.owner.variables(),
                region: REGION,
                "SAM_CLI_TELEMETRY": "0",
                "ARCHITECTURE": {"aarch64": "arm64"}.get(machine.machine(), machine.machine()),
                "RUNTIME": RUNTIME,
                "COMPILER": sys.executable,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def deploy(self, parameters: str = "") -> str:
        """The output of `make deploy`, which must succeed."""
        done = self.run(SAM, "-m", "deploy", "dev", "--parameters", parameters)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def send(self) -> subprocess.CompletedProcess[str]:
        """`sam deploy` of what is built, without building it again."""
        sam = SAM.with_name("sam")
        return self.run(
            sam, "deploy", "--config-env", "dev", "--no-progressbar", region="AWS_DEFAULT_REGION"
        )

    def undeploy(self) -> subprocess.CompletedProcess[str]:
        python = Path(sys.executable)
        return self.run(python, "-m", "deploy.undeploy", "dev", "--yes", path="layers/core")

    def administrator(self) -> Person:
        """The first user, whom `make admin` lets in: a new stack lets nobody else in."""
        someone = Person(self.platform.url)
        refused = someone.ask(
            "POST", "/api/v1/auth/register", {"email": someone.email, "password": PASSWORD}
        )
        assert refused.body["code"] == "registration_closed"
        done = self.run(
            *(Path(sys.executable), "-m", "deploy.admin", someone.email, "--stack", STACK),
            path="layers/core",
        )
        assert done.returncode == 0, done.stdout
        [invitation] = re.findall(r"#invitation=(\S+)&", done.stdout)
        return someone.sign_in(invitation=invitation)

    def stack(self) -> dict[str, Any]:
        cloudformation = self.platform.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return dict(stack)

    def status(self) -> str:
        return str(self.stack()["StackStatus"])

    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.stack()["Outputs"]}

    def holds(self) -> set[str]:
        """Everything in it, by kind and name."""
        found = set()
        for kind, (service, operation, key, name) in LISTS.items():
            listed = getattr(self.platform.client(service), operation)().get(key) or []
            found |= {f"{kind} {each[name] if name else each}" for each in listed}
        return found


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    assert SAM.exists(), "make test makes SAM's environment: .venv-sam"
    sources = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(ROOT / name, sources / name)
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, sources / name)
    with Platform(bare=True) as platform:
        yield Account(platform, sources)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path}: {old}"
    path.write_text(text.replace(old, new, 1))


def code_of(account: Account, name: str) -> str:
    """The hash of a function's code."""
    found: list[dict[str, Any]] = account.platform.client("lambda").list_functions()["Functions"]
    (code,) = [each["CodeSha256"] for each in found if f"-{name}-" in each["FunctionName"]]
    return str(code)


def definition_of(account: Account, name: str) -> str:
    """A state machine's definition, read from Step Functions."""
    client = account.platform.client("stepfunctions")
    machines = client.list_state_machines()["stateMachines"]
    (arn,) = [each["stateMachineArn"] for each in machines if each["name"] == f"{STACK}-{name}"]
    return str(client.describe_state_machine(stateMachineArn=arn)["definition"])


@pytest.mark.skipif(
    sys.platform != "linux", reason="the layer is built for Linux, and the functions run here"
)
def test_a_stack_is_deployed_changed_rolled_back_and_removed(account: Account) -> None:
    empty = account.holds()

    # Deployed, and served where it says.
    said = account.deploy(
        "SimulateFaults=true SimulatedSeconds=1 ReconcileSchedule='rate(5 minutes)'"
    )
    outputs = account.outputs()
    assert f"make demo API={outputs['ApiUrl']}" in said
    assert account.status() == "CREATE_COMPLETE"
    account.platform.serve(outputs["ApiId"])
    someone = account.administrator()
    assert someone.ask("GET", "/api/v1/auth/me").body["platform_role"] == "admin"
    made = {each.partition(" ")[0] for each in account.holds() - empty}
    assert {"api", "function", "mapping", "role", "secret", "table", "parameter"} <= made

    # Again with nothing changed: built again, and no byte is another.
    assert "No changes to deploy" in account.deploy()
    assert account.status() == "CREATE_COMPLETE"

    # An environment that is a stack.
    project = someone.project()
    body = {"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}
    versions = "/api/v1/templates/jobs/versions"
    for path, sent in (
        ("/api/v1/templates", {"name": "jobs"}),
        (f"{versions}?version=1.0", body),
        (f"{versions}/1.0/publish", None),
    ):
        assert someone.ask("POST", path, sent).status in (200, 201)
    jobs = someone.environment(project, "jobs", template="jobs@1.0")["id"]
    someone.wait_for(jobs, "running")
    queue = f"/{STACK}-env-{scope.stack_suffix(jobs)}-Jobs-"
    assert [each for each in account.holds() if queue in each]

    # A function and a state machine change while a rollout runs.
    slowly = {"simulate": {"ship": {"seconds": 30}}}
    slow = someone.environment(project, "slow", config=slowly)["id"]
    someone.wait_for(slow, "running")
    rollout = someone.deploy(slow, "v1").body["id"]
    someone.wait_for(rollout, "running")
    shipping = code_of(account, "ShipFunction")
    built = account.sources / ".aws-sam/build/template.yaml"
    properties = load_yaml(built)["Resources"]["ShipFunction"]["Properties"]
    with (built.parent / properties["CodeUri"] / "app.py").open("a") as code:
        code.write("# changed\n")
    definition = next(account.sources.glob("statemachines/roll_out_deployment*"))
    edit(definition, "Comment: ", "Comment: Changed. ")
    assert '"Changed. ' not in definition_of(account, "roll_out_deployment")

    done = account.send()

    assert done.returncode == 0, done.stdout
    assert account.status() == "UPDATE_COMPLETE"
    assert code_of(account, "ShipFunction") != shipping
    assert '"Changed. ' in definition_of(account, "roll_out_deployment")
    updated = account.stack()["LastUpdatedTime"]
    after = someone.deploy(someone.environment(project, "after")["id"], "v2").body["id"]
    someone.wait_for(after, "succeeded")

    # A broken update goes back to what there was.
    shipping = code_of(account, "ShipFunction")
    account.platform.client("sqs").create_queue(QueueName="taken")
    with (built.parent / properties["CodeUri"] / "app.py").open("a") as code:
        code.write("# changed again\n")
    another = "  Another:\n    Type: AWS::SQS::Queue\n    DependsOn: ShipFunction\n"
    edit(built, "Resources:\n", f"Resources:\n{another}    Properties: {{QueueName: taken}}\n")

    done = account.send()

    assert done.returncode != 0
    assert "Another" in done.stdout
    assert account.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert code_of(account, "ShipFunction") == shipping
    # The rollout has seen both, and ended well.
    ended = someone.wait_for(rollout, "succeeded", seconds=60)
    began, end = (datetime.fromisoformat(ended[at]) for at in ("started_at", "finished_at"))
    assert began < updated < end
    account.platform.client("sqs").delete_queue(
        QueueUrl=account.platform.client("sqs").get_queue_url(QueueName="taken")["QueueUrl"]
    )

    # An environment that cannot be ended keeps the stack, and the API open.
    stubborn = {"simulate": {"retire": {"refuse": "not empty"}}}
    stuck = someone.environment(project, "stuck", config=stubborn)["id"]
    someone.wait_for(stuck, "running")

    done = account.undeploy()

    assert done.returncode == 1, done.stdout
    assert "environments: 4 running" in done.stdout
    assert f"{stuck}: " in done.stdout and "not empty" in done.stdout
    stage = account.platform.client("apigatewayv2").get_stage(
        ApiId=outputs["ApiId"], StageName="$default"
    )
    throttles = [stage["DefaultRouteSettings"], stage["RouteSettings"]["ANY /api/v1/projects"]]
    assert [(each["ThrottlingBurstLimit"], each["ThrottlingRateLimit"]) for each in throttles] == [
        (60, 20),
        (100, 50),
    ]
    forgotten = someone.ask("DELETE", f"/api/v1/environments/{stuck}?force=true")
    assert forgotten.body["status"] == "destroyed"
    assert account.status() == "UPDATE_ROLLBACK_COMPLETE"

    # Removed, with its environments.
    done = account.undeploy()

    assert done.returncode == 0, done.stdout
    bucket = outputs["TemplatesBucketName"]
    left = account.holds() - empty
    kept = {each for each in left if not re.match(r"bucket aws-sam-cli-managed-default-", each)}
    assert kept == {f"bucket {bucket}"}
    assert f"bucket {bucket}" in done.stdout
    stacks = account.platform.client("cloudformation").describe_stacks()["Stacks"]
    assert [each["StackName"] for each in stacks] == ["aws-sam-cli-managed-default"]


def test_undeploying_a_missing_stack_ends_at_once(account: Account) -> None:
    done = account.run(
        Path(sys.executable), "-m", "deploy.undeploy", "dev", "--stack", "slipway-none", "--yes",
        path="layers/core",
    )  # fmt: skip

    assert (done.returncode, "slipway-none is deleted. Nothing is left" in done.stdout) == (0, True)


def test_errors_are_reported_before_anything_is_built(account: Account) -> None:
    done = account.run(
        SAM, "-m", "deploy", "dev", "--stack", "Slipway", "--parameters", "Sage=dev MaxTtlHours=0"
    )

    assert done.returncode == 1
    assert "Nothing was deployed" in done.stdout and "Building" not in done.stdout
    for said in ("cannot be named Slipway", "did you mean Stage?", "MaxTtlHours=0: it must be 1"):
        assert said in done.stdout


def test_undeploying_without_a_terminal_needs_yes(account: Account) -> None:
    account.platform.client("cloudformation").create_stack(
        StackName="slipway-kept",
        TemplateBody="Resources: {Queue: {Type: AWS::SQS::Queue}}",
    )
    until(lambda: account.platform.client("sqs").list_queues().get("QueueUrls"))

    done = account.run(
        Path(sys.executable), "-m", "deploy.undeploy", "dev", "--stack", "slipway-kept",
        path="layers/core",
    )  # fmt: skip

    assert done.returncode == 1
    assert "YES=1" in done.stdout
    assert account.platform.client("sqs").list_queues()["QueueUrls"]


def test_only_a_protected_table_is_kept(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in account.platform.owner.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.platform.endpoint)
    session = boto3.Session(region_name=REGION)
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": True,
        },
    }
    resources = {"Table": table, "Queue": {"Type": "AWS::SQS::Queue"}}
    session.client("cloudformation").create_stack(
        StackName="slipway-prod", TemplateBody=json.dumps({"Resources": resources})
    )
    stack = until(
        lambda: (
            found
            if (found := undeploy.described(session, "slipway-prod"))
            and found["StackStatus"] == "CREATE_COMPLETE"
            else None
        )
    )
    (name,) = [each for each in account.holds() if each.startswith("table slipway-prod-")]

    undeploy.delete(session, stack, name.removeprefix("table "))

    assert undeploy.described(session, "slipway-prod") is None
    assert {each for each in account.holds() if "slipway-prod" in each} == {name}
    ((kept, how),) = leftovers.kept(session, "slipway-prod")
    assert name in kept and "--no-deletion-protection-enabled" in how
