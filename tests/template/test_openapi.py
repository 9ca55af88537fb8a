"""The committed OpenAPI document is what the routes say, and it holds together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from slipway.http import openapi_fields, openapi_texts
from slipway.http.openapi import FUNCTIONS, as_text, document, load
from tests.support.repository import ROOT

PATH = ROOT / "functions/api/docs/openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
FORMATS = FormatChecker(formats=())
every_operation = pytest.mark.parametrize("name", OPERATIONS)
every_schema = pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])


def is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


FORMATS.checks("date-time", raises=ValueError)(is_moment)


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """The node itself, or the part of the document that it refers to."""
    found: dict[str, Any] = DOCUMENT
    for part in node.get("$ref", "").removeprefix("#/").split("/"):
        found = found[part] if part else node
    return found


def bodies(operation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """(schema, example) of every body, sent and answered."""
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        for content in body.get("content", {}).values():
            examples = [resolved(each)["value"] for each in content.get("examples", {}).values()]
            for example in examples or [content.get("example")]:
                yield content["schema"], example


def test_the_command_reads_and_writes_this_checkout() -> None:
    assert FUNCTIONS == ROOT / "functions"


def test_the_committed_document_matches_the_routes() -> None:
    generated = as_text(document(load(ROOT / "functions")))

    assert PATH.read_text(encoding="utf-8") == generated, "write it with make openapi"


def test_the_document_is_openapi_3_1_and_its_references_resolve() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    for reference in (node["$ref"] for node in walk(DOCUMENT) if "$ref" in node):
        found = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_every_schema_is_valid_and_used() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in walk(DOCUMENT) if "$ref" in node}

    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert name in used


def test_no_two_operations_have_the_same_id() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(ids) == len(set(ids)) > 10


@every_operation
def test_path_parameters_match_the_path(name: str) -> None:
    declared = [each["name"] for each in OPERATIONS[name]["parameters"] if each["in"] == "path"]

    assert re.findall(r"{(\w+)}", name) == declared


@every_operation
def test_every_body_has_a_valid_example(name: str) -> None:
    for schema, example in bodies(OPERATIONS[name]):
        whole = {**schema, "components": DOCUMENT["components"]}
        validator = Draft202012Validator(whole, format_checker=FORMATS)
        errors = [error.message for error in validator.iter_errors(example)]
        assert example is not None
        assert errors == []


@every_schema
def test_every_example_of_a_field_is_one_that_its_schema_allows(name: str) -> None:
    for field, shape in DOCUMENT["components"]["schemas"][name].get("properties", {}).items():
        for example in shape.get("examples", []):
            whole = {**shape, "components": DOCUMENT["components"]}
            validator = Draft202012Validator(whole, format_checker=FORMATS)
            assert [error.message for error in validator.iter_errors(example)] == [], field


@every_operation
def test_every_parameter_has_examples_that_its_schema_allows(name: str) -> None:
    for parameter in OPERATIONS[name]["parameters"]:
        schema = parameter["schema"]
        given = [parameter["example"]] if "example" in parameter else []
        for example in [*given, *schema.get("examples", [])]:
            assert [*Draft202012Validator(schema).iter_errors(example)] == [], parameter["name"]


@every_operation
def test_every_operation_declares_its_refusals(name: str) -> None:
    answers = OPERATIONS[name]["responses"]

    assert {status[0] for status in answers} & {"2", "3"}
    for status, answer in answers.items():
        if status >= "4":
            # API Gateway throttles without a problem.
            of_oauth = answer["content"].get("application/json", {}).get("schema", {})
            is_grant = of_oauth.get("$ref", "").endswith("/GrantProblem")
            also = ["application/json"] if status == "429" or is_grant else []
            assert {*answer["content"]} - {*also} <= {"application/problem+json"}
    assert ("401" in answers) or OPERATIONS[name]["security"] == []


@every_operation
def test_every_operation_says_who_may_send_it(name: str) -> None:
    operation = OPERATIONS[name]

    assert bool(operation["security"]) == ("x-slipway-action" in operation)


@every_operation
def test_every_operation_and_its_parameters_are_described(name: str) -> None:
    """Describe it in its docstring's second paragraph, or in slipway.http.openapi_texts."""
    operation = OPERATIONS[name]
    own = operation["description"].split("\n\n")

    assert operation["summary"]
    assert len(own) == 2 and all(own), "the description has only what the policy says"
    assert [each["name"] for each in operation["parameters"] if not each.get("description")] == []


def test_every_tag_is_described() -> None:
    tags = {each["name"]: each.get("description") for each in DOCUMENT["tags"]}

    assert all(tags.values())
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == {*tags}


@every_schema
def test_every_model_and_all_of_its_fields_are_described(name: str) -> None:
    """Describe a field in its model, or in slipway.http.openapi_fields."""
    schema = DOCUMENT["components"]["schemas"][name]

    assert schema.get("description")
    fields = schema.get("properties", {})
    assert [field for field, shape in fields.items() if not shape.get("description")] == []


def test_no_description_is_left_over() -> None:
    """A renamed operation, model or field takes its description along."""
    schemas = DOCUMENT["components"]["schemas"]
    ids = {operation["operationId"] for operation in OPERATIONS.values()}
    fields = {name for schema in schemas.values() for name in schema.get("properties", {})}
    fields |= {
        f"{model}.{name}" for model in schemas for name in schemas[model].get("properties", {})
    }
    parts = {part for name in OPERATIONS for part in re.findall(r"{(\w+)}", name)}

    assert openapi_texts.OPERATIONS.keys() - ids == set()
    assert openapi_texts.PARAMETERS.keys() - parts == set()
    assert openapi_fields.FIELDS.keys() - fields == set()
    assert openapi_fields.MODELS.keys() - schemas.keys() == set()


# --- what generated clients depend on ---------------------------------------------------------


def sent() -> set[str]:
    """The schemas of requests, and those that they refer to."""
    found: set[str] = set()
    left = [operation.get("requestBody", {}) for operation in OPERATIONS.values()]
    while left:
        for node in walk(left.pop()):
            name = node.get("$ref", "").rpartition("/")[2]
            if name in DOCUMENT["components"]["schemas"] and name not in found:
                found.add(name)
                left.append(DOCUMENT["components"]["schemas"][name])
    return found


@every_schema
def test_no_field_has_a_default_because_generators_then_require_it(name: str) -> None:
    fields = DOCUMENT["components"]["schemas"][name].get("properties", {})

    assert [field for field, shape in fields.items() if "default" in shape] == []


@every_schema
def test_what_is_always_in_a_response_is_required(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]

    if name not in sent():
        assert schema.get("required", []) == [*schema.get("properties", {})]


@every_operation
def test_a_form_and_json_have_schemas_of_their_own(name: str) -> None:
    content = OPERATIONS[name].get("requestBody", {}).get("content", {})
    schemas = [json.dumps(each["schema"]) for media, each in content.items() if "yaml" not in media]

    assert len(schemas) == len(set(schemas))


@every_operation
def test_links_lead_to_operations_and_fill_their_paths(name: str) -> None:
    for answer in OPERATIONS[name]["responses"].values():
        for link in map(resolved, answer.get("links", {}).values()):
            [target] = [
                each for each, it in OPERATIONS.items() if it["operationId"] == link["operationId"]
            ]
            assert {*re.findall(r"{(\w+)}", target)} == link["parameters"].keys()
            [content] = answer["content"].values()
            model = resolved(content["schema"])
            for value in link["parameters"].values():
                assert value.removeprefix("$response.body#/") in model["properties"]


def test_what_is_made_has_links_to_what_can_be_asked_of_it() -> None:
    for name, count in (("projects", 10), ("environments", 10), ("deployments", 3), ("trusts", 3)):
        [made] = [
            operation["responses"]["201"]
            for operation in OPERATIONS.values()
            if operation["operationId"] in (f"{name}_create", f"{name}_trust")
        ]
        assert len(made["links"]) >= count, name
