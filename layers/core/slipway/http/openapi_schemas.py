"""The schemas of the OpenAPI document, from the models, so that generated clients can use them.

- An optional field of a request has no `default`: generators of TypeScript require a field that has
  one. Its description names the default instead.
- Every field of a response is required, because each is always sent; it may be null.
- A form has a schema of its own. One schema for a form and for JSON is one class in a generated
  client, which then cannot tell which of the two to send.
- Every field is described, by its model or by slipway.http.openapi_fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from slipway.domain.fields import RequestModel
from slipway.http.openapi_fields import FIELDS, MODELS

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]

REF = "#/components/schemas/{model}"


def reference(model: type[BaseModel] | str) -> Schema:
    """A reference to the schema of this model, or of this name."""
    return {"$ref": REF.format(model=model if isinstance(model, str) else model.__name__)}


def name_in(reference: str) -> str:
    """The name of the schema that is referred to."""
    return reference.rpartition("/")[2]


def references(value: Any) -> Iterator[str]:
    """The names of the schemas that are referred to in this part of the document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield name_in(value["$ref"])
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def generated(models: Mapping[type[BaseModel], Mode]) -> dict[str, Schema]:
    """The schemas of these models and of those in them, as pydantic makes them."""
    _, made = models_json_schema(list(models.items()), ref_template=REF)
    schemas: dict[str, Schema] = made["$defs"]
    return schemas


def finish(schemas: dict[str, Schema], models: Iterable[type[BaseModel]]) -> None:
    """Make pydantic's schemas those of the document, as the module says. Changes `schemas`."""
    sent = {model.__name__ for model in models if issubclass(model, RequestModel)}
    asked = _reached(sent, schemas)
    for name, schema in schemas.items():
        if name not in asked and "properties" in schema:
            schema["required"] = list(schema["properties"])
    for name, schema in schemas.items():
        if "description" not in schema and name in MODELS:
            schema["description"] = MODELS[name]
        for field, shape in schema.get("properties", {}).items():
            _describe(name, field, shape, is_asked=name in asked)
            if "examples" in shape:
                shape["examples"] = [_whole(each, shape, schemas) for each in shape["examples"]]


def form_of(schema: Schema) -> Schema:
    """The schema of the same object as a form, which has texts alone and no null."""
    properties = {name: _text(shape) for name, shape in schema["properties"].items()}
    form = {**schema, "properties": properties, "title": f"{schema['title']}Form"}
    if isinstance(others := schema.get("additionalProperties"), dict):
        form["additionalProperties"] = _text(others)
    return form


def _text(shape: Schema) -> Schema:
    kept = {name: value for name, value in shape.items() if name != "anyOf"}
    kinds = [kind for kind in shape.get("anyOf", []) if kind != {"type": "null"}]
    return {**kept, **(kinds[0] if kinds else {})}


def _reached(names: Iterable[str], schemas: Mapping[str, Schema]) -> set[str]:
    """These schemas and those that they refer to."""
    seen: set[str] = set()
    left = [*names]
    while left:
        name = left.pop()
        if name not in seen and name in schemas:
            seen.add(name)
            left += references(schemas[name])
    return seen


def _describe(model: str, field: str, shape: Schema, *, is_asked: bool) -> None:
    shape.pop("title", None)
    default = shape.pop("default", None)
    for kind in shape.get("anyOf", []):
        # The type describes itself, and the value may also be null.
        shape.update({name: kind.pop(name) for name in ("description", "examples") if name in kind})
    own = FIELDS.get(f"{model}.{field}") or FIELDS.get(field)
    if "description" not in shape and own:
        shape["description"] = own
    if is_asked and default not in (None, [], {}) and "description" in shape:
        shape["description"] += f" `{json.dumps(default).strip(chr(34))}` if omitted."


def _whole(example: Any, shape: Schema, schemas: Mapping[str, Schema]) -> Any:
    """The example of a field, with those fields of its object that it leaves out."""
    models = [name_in(each["$ref"]) for each in [shape, *shape.get("anyOf", [])] if "$ref" in each]
    if not models or not isinstance(example, dict):
        return example
    missing = {name: None for name in schemas[models[0]].get("required", [])}
    return {**missing, **example}
