"""A template is refused if CloudFormation would lack a right that it needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.domain import out_of_reach, template_parser
from slipway.errors import Invalid
from tests.support.repository import resources, template


def refused(template: dict[str, Any]) -> list[str]:
    """The pointers of what is refused."""
    body = {"Transform": template_parser.SAM, **template}
    found = template_parser.read(json.dumps(body).encode(), is_json=True)
    try:
        template_parser.check_allowed(found, ["*"])
    except Invalid as error:
        return [each.pointer for each in error.fields]
    return []


@pytest.mark.parametrize(
    "kind,name",
    [(kind, name) for kind, names in out_of_reach.PROPERTIES.items() for name in names],
)
def test_a_property_that_the_role_lacks_the_right_for_is_refused(kind: str, name: str) -> None:
    made = {"Type": kind, "Properties": {name: {"Ref": "AWS::NoValue"}}}

    assert refused({"Resources": {"It": made}}) == [f"#/Resources/It/Properties/{name}"]
    assert refused({"Resources": {"It": {"Type": kind, "Properties": {"Name": "x"}}}}) == []
    assert refused({"Resources": {"It": {"Type": kind}}}) == []


def test_such_a_property_is_refused_in_globals_too() -> None:
    api = {"Type": "AWS::Serverless::HttpApi"}
    common = {"HttpApi": {"AccessLogSettings": {}}, "Function": {"MemorySize": 256}}

    found = refused({"Globals": common, "Resources": {"Api": api}})

    assert found == ["#/Globals/HttpApi/AccessLogSettings"]


def test_other_types_may_have_a_property_of_the_same_name() -> None:
    stage = {"Type": "AWS::ApiGateway::Stage", "Properties": {"AccessLogSetting": {}}}

    assert (
        refused({"Resources": {"It": stage, "Odd": {"Type": "AWS::X::Y", "Properties": []}}}) == []
    )


def test_the_role_still_lacks_those_rights() -> None:
    making = str(resources("AWS::IAM::ManagedPolicy")["EnvironmentMaking"])

    for right in ("logs:PutResourcePolicy", "logs:CreateLogDelivery", "code-signing-config"):
        assert right not in making
    allowed = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")
    assert "AWS::ApiGatewayV2::Stage" in allowed
