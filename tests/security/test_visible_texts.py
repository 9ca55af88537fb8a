"""Texts for people have no invisible characters, and none that reorder the others."""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from local import console
from slipway.domain import template_parser
from slipway.errors import Invalid
from slipway.http.app import Api
from tests.support.api.client import CONTEXT, event
from tests.support.api.routes import MODELS

INVISIBLE = {
    "a bidirectional override": "a\u202eb",
    "an isolate": "a\u2067b",
    "no width": "a\u200bb",
    "a null": "a\0b",
    "an escape": "a\x1b[2Jb",
    "private use": "a\ue000b",
    "not assigned": "a\u0378b",
    "a filler": "a\u3164b",
    "a separator of lines": "a\u2028b",
}
# Shown to nobody, and compared as they are.
SECRETS = {
    *("password", "current_password", "new_password", "client_secret", "client_id", "scope"),
    *("token", "refresh_token", "invitation", "username"),
    # Compared with the ids of the projects that trust a workload.
    "project_id",
    # Of a device's grant.
    *("device_code", "grant_type"),
}
# Looked up as they are, or the value of a secret, which its own rules judge.
AS_THEY_ARE = {("NewPromotion", "source"), ("NewSecret", "from_"), ("NewSecret", "value")}


def alone(field: FieldInfo) -> TypeAdapter[Any]:
    """The field without its model, where a name in JSON has no meaning."""
    found = copy(field)
    found.alias = found.validation_alias = found.serialization_alias = None
    return TypeAdapter(Annotated[field.annotation, found])


FIELDS: list[tuple[tuple[str, str], Any]] = sorted(
    {
        (model.__name__, name): alone(field)
        for model in MODELS
        for name, field in model.model_fields.items()
        if name not in SECRETS and (model.__name__, name) not in AS_THEY_ARE
    }.items(),
    key=lambda each: each[0],
)


def takes(field: Any, value: str) -> bool:
    try:
        field.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("value", INVISIBLE.values(), ids=INVISIBLE)
def test_no_field_of_a_request_takes_invisible_characters(value: str) -> None:
    assert [name for name, field in FIELDS if takes(field, value)] == []


def test_the_fields_that_a_person_writes_take_text() -> None:
    """Else the test above would prove nothing."""
    assert {name for name, field in FIELDS if takes(field, "Zoë 👩‍🚀")} >= {
        ("NewProject", "name"),
        ("NewProject", "description"),
        ("NewEnvironment", "name"),
        ("NewTemplate", "description"),
        ("Pinning", "reason"),
    }


@pytest.mark.parametrize("attribute", ["Description", "ConstraintDescription"])
def test_a_description_in_a_template_is_visible(attribute: str) -> None:
    body = f"""{{"Parameters": {{"A": {{"Type": "String", "{attribute}": "a\u202eb"}}}},
        "Resources": {{"Q": {{"Type": "AWS::SQS::Queue"}}}}}}"""

    with pytest.raises(Invalid) as refused:
        template_parser.read(body.encode(), is_json=True)

    assert [each.pointer for each in refused.value.fields] == [f"#/Parameters/A/{attribute}"]


def test_a_line_of_the_terminal_has_no_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = {"errorType": "KeyError", "errorMessage": "a\x1b[2J\nb\u202e\x07"}

    console.invoked("slipway-Api-1", {"log": "", "error": error})

    assert capsys.readouterr().out == "! Api: KeyError: a\\x1b[2J\\nb\\u202e\\x07\n"


def test_a_path_is_one_line_of_the_log(environ: None, caplog: pytest.LogCaptureFixture) -> None:
    answer = Api().handler(event("GET", "/api/v1/projects/a%0Ab%1B%E2%80%AE"), CONTEXT)

    assert answer["statusCode"] == 404
    [line] = caplog.records
    assert vars(line)["path"] == "/api/v1/projects/a%0Ab%1B%E2%80%AE"
