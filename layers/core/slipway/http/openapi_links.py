"""The links of the OpenAPI document: from an object that was made to what can be asked of it.

A response that returns an object has a link for each operation whose path names that object. A
client, or a tool that tests the API, finds there which field of the answer is which parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slipway.http.openapi_schemas import name_in

Schema = dict[str, Any]

# The model of an answer -> the parameters of a path that its fields are. The first one names the
# object itself; the others say where it is.
_NAMES: dict[str, dict[str, str]] = {
    "Project": {"project_id": "id"},
    "Environment": {"environment_id": "id"},
    "Deployment": {"deployment_id": "id"},
    "Confirmation": {"confirmation_id": "id"},
    "Template": {"template": "name"},
    "TemplateVersion": {"version": "version", "template": "template"},
    "Trust": {"trust_id": "id", "project_id": "project_id"},
    "User": {"user_id": "id"},
    "CreatedToken": {"token_id": "id"},  # nosec B105
    "SentInvitation": {"invitation_id": "id"},
}


def add_links(document: Schema) -> None:
    """Give each answer that returns an object its links. Changes `document`."""
    links = {model: dict(_links(document, model, names)) for model, names in _NAMES.items()}
    document["components"]["links"] = {
        f"{model}.{name}": link for model, named in links.items() for name, link in named.items()
    }
    for method, _, operation in _operations(document):
        for status, answer in operation["responses"].items():
            model = _model(answer)
            if method != "get" and status < "3" and model in links:
                answer["links"] = {
                    name: {"$ref": f"#/components/links/{model}.{name}"} for name in links[model]
                }


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _model(answer: Schema) -> str:
    """The model of which the answer is one object; empty if it is anything else."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return name_in(schema.get("$ref", ""))


def _links(document: Schema, model: str, names: dict[str, str]) -> Iterator[tuple[str, Schema]]:
    itself = next(iter(names))
    for _, path, operation in _operations(document):
        asked = re.findall(r"{(\w+)}", path)
        if itself in asked and names.keys() >= {*asked}:
            yield (
                operation["operationId"],
                {
                    "operationId": operation["operationId"],
                    "description": f"{operation['summary']}.",
                    "parameters": {name: f"$response.body#/{names[name]}" for name in asked},
                },
            )
