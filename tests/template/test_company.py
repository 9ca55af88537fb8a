"""The parameters of the company's sign-in: its secret stays one, and patterns keep it JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from slipway.domain import groups
from tests.support.repository import template, transformed

PARAMETERS = template()["Parameters"]
SECRET = template()["Resources"]["CompanySecret"]
PROJECT = "prj_01kaq3h5x0c2m9f7r4tz"


def mentions(value: Any, name: str) -> bool:
    return re.search(rf"\b{name}\b", json.dumps(value)) is not None


def accepts(parameter: str, value: str) -> bool:
    return re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], value) is not None


def test_the_clients_secret_is_in_the_secret_and_nowhere_else() -> None:
    rest = {**template(), "Resources": {**template()["Resources"], "CompanySecret": {}}}
    del rest["Parameters"]

    assert PARAMETERS["OidcClientSecret"]["NoEcho"] is True
    assert mentions(SECRET, "OidcClientSecret")
    assert not mentions(rest, "OidcClientSecret")


def test_only_auth_is_told_where_the_secret_is() -> None:
    functions = transformed("AWS::Lambda::Function")

    assert [name for name, each in functions.items() if mentions(each, "CompanySecret")] == [
        "AuthFunction"
    ]


def test_without_a_company_there_is_no_secret() -> None:
    assert SECRET["Condition"] == "HasCompany"


@pytest.mark.parametrize(
    "secret", ["", "Qx7~._-8Q", "a/b+c=", "${AWS::Region}", "a'b", "{}", "ü", "<>&;,"]
)
def test_the_secret_is_json_whatever_a_value_is(secret: str) -> None:
    assert accepts("OidcClientSecret", secret)
    values = {
        "OidcIssuer": "https://login.example.com/tenant/v2.0",
        "OidcClientId": "0oa1b2c3",
        "OidcClientSecret": secret,
        "OidcScopes": "openid email groups",
        "OidcGroupsClaim": "cognito:groups",
        "OidcGroups": f"The web team={PROJECT}:viewer;a=b=admin",
        "OidcTrustEmails": "false",
    }

    text = SECRET["Properties"]["SecretString"]["Fn::Sub"]
    written = re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], text)

    assert all(accepts(name, value) for name, value in values.items() if name != "OidcTrustEmails")
    assert json.loads(written)["client_secret"] == secret
    assert json.loads(written)["groups"] == values["OidcGroups"]


@pytest.mark.parametrize("wrong", ['a"b', "a\\b", "a b", "a\nb"])
def test_what_would_break_the_secret_is_refused(wrong: str) -> None:
    for parameter in ("OidcClientSecret", "OidcClientId", "OidcGroupsClaim"):
        assert not accepts(parameter, wrong)
    assert not accepts("OidcIssuer", f"https://{wrong}")


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("platform=admin", [("platform", "", "admin")]),
        ("platform=admin;", [("platform", "", "admin")]),
        ("/team/web=publisher", [("/team/web", "", "publisher")]),
        ("CN=web,OU=all=publisher", [("CN=web,OU=all", "", "publisher")]),
        (f"The web team={PROJECT}:viewer", [("The web team", PROJECT, "viewer")]),
    ],
)
def test_the_mapping_reads_as_it_is_written(text: str, entries: list[tuple[str, ...]]) -> None:
    assert accepts("OidcGroups", text)
    assert list(groups.entries(text)) == entries


@pytest.mark.parametrize(
    "text",
    [
        "platform",
        "platform=root",
        "=admin",
        "web=prj_1:viewer",
        f"web={PROJECT}",
        f"web={PROJECT}:owner",
        f"web={PROJECT}:viewer,leads={PROJECT}:maintainer:x",
        'web"=admin',
        "web=admin\n",
    ],
)
def test_a_mapping_with_an_error_is_refused_when_the_stack_is_made(text: str) -> None:
    assert not accepts("OidcGroups", text)


@pytest.mark.parametrize(
    ("issuer", "is_one"),
    [
        ("https://accounts.google.com", True),
        ("https://id.example.com:8443/realms/company", True),
        ("http://127.0.0.1:9400", True),
        ("http://localhost", True),
        ("http://id.example.com", False),
        ("http://127x0.0.1", False),
        ("https://id.example.com?a=b", False),
        ("ftp://id.example.com", False),
        ("id.example.com", False),
    ],
)
def test_an_issuer_is_https_or_on_loopback(issuer: str, is_one: bool) -> None:
    assert accepts("OidcIssuer", issuer) is is_one
