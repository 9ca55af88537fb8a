"""The committed OpenAPI document is what the routes say, and it holds together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from slipway.http.openapi import FUNCTIONS, as_text, document, load
from tests.support.repository import ROOT

PATH = ROOT / "functions/api/docs/openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
every_operation = pytest.mark.parametrize("name", OPERATIONS)


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def bodies(operation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """(schema, example) of every body, sent and answered."""
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        for content in body.get("content", {}).values():
            examples = [each["value"] for each in content.get("examples", {}).values()]
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
        errors = [error.message for error in Draft202012Validator(whole).iter_errors(example)]
        assert example is not None
        assert errors == []


@every_operation
def test_every_operation_declares_its_refusals(name: str) -> None:
    answers = OPERATIONS[name]["responses"]

    assert {status[0] for status in answers} & {"2", "3"}
    for status, answer in answers.items():
        if status >= "4":
            assert list(answer["content"]) == ["application/problem+json"]
    if "security" in OPERATIONS[name]:
        assert "401" in answers
