"""The code of examples/hello-web, with Powertools in its archive and without."""

from __future__ import annotations

import sys
from typing import Any

import boto3
import pytest

from local.package import load_yaml
from tests.support.lambda_environment import REGION
from tests.support.repository import ROOT

PATH = "/slipway/configurations/abcdefgh/5/"


@pytest.fixture
def code(aws: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The function's code, and what it finds on AWS."""
    resources = load_yaml(ROOT / "examples/hello-web/template.yaml")["Resources"]
    variables = {"VERSION": "v1", "VISITS": "visits", "GREETING": "Hello", "ENVIRONMENT": "preview"}
    for name, value in {**variables, "CONFIGURATION": PATH}.items():
        monkeypatch.setenv(name, value)
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="visits",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    store = boto3.client("ssm", region_name=REGION)
    # More than a page of ten.
    for n in range(25):
        store.put_parameter(Name=f"{PATH}NAME_{n}", Value=str(n), Type="String")
    store.put_parameter(Name=f"{PATH}MESSAGE", Value="Open on Sunday", Type="String")
    store.put_parameter(Name=f"{PATH}API_KEY", Value="s3cret", Type="SecureString")
    store.put_parameter(
        Name="/slipway/configurations/abcdefgh/50/MESSAGE", Value="x", Type="String"
    )
    return str(resources["Web"]["Properties"]["Code"]["ZipFile"])


@pytest.mark.parametrize("library", [True, False])
def test_the_page_shows_a_variable_and_that_a_secret_is_set(
    code: str, monkeypatch: pytest.MonkeyPatch, library: bool
) -> None:
    if not library:
        monkeypatch.setitem(sys.modules, "aws_lambda_powertools.utilities.parameters", None)
    made: dict[str, Any] = {}
    exec(code, made)

    assert ("aws_lambda_powertools" in str(made["get_parameters"].__module__)) == library
    assert len(made["configuration"]()) == 27
    said = made["handler"]({}, None)["body"]
    assert said == (
        "Hello from preview, version v1, visit 1\nOpen on Sunday\nThe secret API_KEY is set.\n"
    )


def test_without_a_configuration_the_page_asks_nothing(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGURATION", "")
    made: dict[str, Any] = {}
    exec(code, made)

    assert made["handler"]({}, None)["body"] == "Hello from preview, version v1, visit 1\n"
