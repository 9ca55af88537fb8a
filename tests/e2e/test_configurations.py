"""A configuration on the laptop: from a change to the page of what runs, and to no neighbour.

The templates of the last tests go past the check of template versions, so that IAM alone is tried.
"""

from __future__ import annotations

import json
import secrets as random
from collections.abc import Iterator
from typing import Any

import pytest

from local.platform import Platform
from slipway.domain import ids, scope
from tests.support.http_user import DIRECT, Person, send
from tests.support.maker import Maker, making
from tests.support.repository import ROOT
from tests.support.store.configuring import configure, configure_project

pytestmark = pytest.mark.xdist_group("e2e stacks")

HELLO = (ROOT / "examples/hello-web/template.yaml").read_text()
BELOW = "/slipway/configurations"


@pytest.fixture
def maker(platform: Platform, someone: Person) -> Iterator[Maker]:
    with making(platform, someone) as maker:
        yield maker


@pytest.fixture
def page(maker: Maker, someone: Person) -> Page:
    return Page(maker, someone)


class Page:
    """An environment of hello-web."""

    def __init__(self, maker: Maker, someone: Person) -> None:
        self.someone, name = someone, f"hello-{random.token_hex(4)}"
        someone.ask("POST", "/api/v1/templates", {"name": name})
        added = send(someone, f"/api/v1/templates/{name}/versions", HELLO)
        assert added.status == 201, added.body
        someone.ask("POST", f"/api/v1/templates/{name}/versions/1.0/publish")
        self.project = ids.parse_project(someone.project(name))
        made = someone.environment(str(self.project), "preview", template=name)
        self.environment = someone.wait_for(made["id"], "running")
        self.id = ids.parse_environment(made["id"])
        self.path = f"/api/v1/environments/{made['id']}"

    def shows(self) -> str:
        with DIRECT.open(self.environment["base_url"], timeout=30) as answer:
            said: str = answer.read().decode()
        return said

    def deploy(self, version: str, ends: str = "succeeded") -> dict[str, Any]:
        made = self.someone.ask("POST", f"{self.path}/deployments", {"version": version})
        assert made.status == 201, made.raw
        return self.someone.wait_for(made.body["id"], ends)

    @property
    def configuration(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.someone.ask("GET", self.path).body["configuration"]
        return shown


def test_a_change_shows_on_the_page_after_a_deployment(platform: Platform, page: Page) -> None:
    assert page.shows() == "Hello from preview, version none, visit 1\n"
    configure(page.id, {"MESSAGE": "Open on Sunday"}, {"API_KEY": "s3cret-value"})
    assert page.configuration == {"live": 0, "pending": 1}
    assert "Sunday" not in page.shows()

    first = page.deploy("v1")

    assert first["configuration"] == 1
    assert page.configuration == {"live": 1, "pending": None}
    assert page.shows() == (
        "Hello from preview, version v1, visit 1\nOpen on Sunday\nThe secret API_KEY is set.\n"
    )
    # A variable of the project, which is also a parameter of the template.
    configure_project(page.project, {"Greeting": "Welcome"})
    assert page.configuration == {"live": 1, "pending": 2}
    # The same version: nothing changes but the configuration.
    assert page.deploy("v1")["configuration"] == 2
    assert page.shows().startswith("Welcome from preview, version v1, visit 2\nOpen on Sunday\n")
    configure_project(page.project, {"Greeting": None})
    page.deploy("v2")
    assert page.shows().startswith("Hello from preview, version v2, visit 1\n")
    stored = platform.client("ssm").get_parameters_by_path(
        Path=f"{BELOW}/{scope.of(str(page.id))}/3/", WithDecryption=True
    )["Parameters"]
    assert {each["Name"].rpartition("/")[2]: each["Type"] for each in stored} == {
        "MESSAGE": "String",
        "API_KEY": "SecureString",
    }


def test_a_variable_that_the_template_does_not_take_fails_the_deployment_with_its_reason(
    page: Page,
) -> None:
    page.deploy("v1")
    configure(page.id, {"Greeting": "<b>", "MESSAGE": "new"})

    ended = page.deploy("v2", "rolled_back")

    assert "Configuration 1 does not fit" in ended["failure"]["reason"]
    assert "Greeting" in ended["failure"]["reason"]
    assert page.configuration == {"live": 0, "pending": 1}
    assert page.shows() == "Hello from preview, version v1, visit 1\n"


def test_a_teardown_leaves_nothing_of_it(platform: Platform, page: Page) -> None:
    configure(page.id, {"MESSAGE": "x"}, {"API_KEY": "s3cret-value"})
    page.deploy("v1")
    page.someone.ask("DELETE", page.path)
    page.someone.wait_for(str(page.id), "destroyed")

    for path in (f"{BELOW}/{scope.of(str(page.id))}", f"/slipway/environments/{page.id}"):
        found = platform.client("ssm").get_parameters_by_path(Path=path, Recursive=True)
        assert found["Parameters"] == []


# ── What IAM lets code read ─────────────────────────────────────────────────────────────────

PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    found = []
    for operation, request in event:
        try:
            answer = getattr(boto3.client("ssm"), operation)(**request)
            found.append(sorted(each["Value"] for each in answer["Parameters"]))
        except ClientError as error:
            found.append(error.response["Error"]["Code"])
    return found
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
PLACE = {
    "Parameters": {
        "PermissionsBoundary": {"Type": "String"},
        "Version": {"Type": "String", "Default": "none"},
        "ConfigurationPath": {"Type": "String", "Default": ""},
    },
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "PermissionsBoundary": {"Ref": "PermissionsBoundary"},
                "AssumeRolePolicyDocument": TRUST,
                "Policies": [
                    {
                        "PolicyName": "everything",
                        "PolicyDocument": {"Version": "2012-10-17", "Statement": [EVERYTHING]},
                    }
                ],
            },
        },
        "Probe": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": PROBE},
                "Timeout": 60,
                "Environment": {"Variables": {"AT": {"Ref": "ConfigurationPath"}}},
            },
        },
    },
    "Outputs": {
        "Probe": {"Value": {"Ref": "Probe"}},
        "Path": {"Value": {"Fn::Sub": "at ${ConfigurationPath}"}},
    },
}


def test_code_reads_its_own_configuration_by_its_path_and_no_neighbours(
    platform: Platform, maker: Maker
) -> None:
    def runs(name: str, value: str) -> tuple[str, str]:
        """The function and the path of an environment with a configuration."""
        made = maker.running(json.dumps(PLACE), name=name)
        assert made["outputs"]["Path"] == "at "
        configure(ids.parse_environment(made["id"]), {"NAME": value}, {"KEY": f"{value}-secret"})
        maker.ships(made["id"], "v1", "succeeded")
        has = maker.someone.ask("GET", f"/api/v1/environments/{made['id']}").body["outputs"]
        return has["Probe"], has["Path"].removeprefix("at ")

    def says(probe: str, *calls: tuple[str, dict[str, Any]]) -> Any:
        answer = platform.client("lambda").invoke(FunctionName=probe, Payload=json.dumps(calls))
        return json.loads(answer["Payload"].read())

    def by_path(path: str) -> tuple[str, dict[str, Any]]:
        request = {"Path": path, "Recursive": True, "WithDecryption": True}
        return "get_parameters_by_path", request

    (here, own), (_, others) = runs("here", "mine"), runs("there", "theirs")

    assert own.startswith(f"{BELOW}/")
    assert own.endswith("/1/")
    assert says(here, by_path(own)) == [["mine", "mine-secret"]]
    denied = [
        by_path(others),
        by_path(others.rstrip("/").rpartition("/")[0]),
        by_path(BELOW),
        by_path("/"),
        by_path("/slipway/environments"),
        by_path("/slipway/projects"),
        ("get_parameters", {"Names": [f"{others}KEY"], "WithDecryption": True}),
        ("put_parameter", {"Name": f"{own}NAME", "Value": "x", "Overwrite": True}),
        ("delete_parameters", {"Names": [f"{own}NAME"]}),
    ]
    assert set(says(here, *denied)) == {"AccessDeniedException"}
