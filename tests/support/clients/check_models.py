"""Whether the models that datamodel-code-generator made read every example of the document.

    python check_models.py openapi.json        with the models' folder in PYTHONPATH

Prints how many examples they read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slipway_models


def examples(document: Any) -> Iterator[tuple[str, Any]]:
    """The name of the model, and one object, of each body that has an example."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in body.get("content", {}).values():
                    yield from of_content(content, document)


def of_content(content: Any, document: Any) -> Iterator[tuple[str, Any]]:
    schema = content["schema"]
    is_list = schema.get("type") == "array"
    model = (schema["items"] if is_list else schema).get("$ref", "").rpartition("/")[2]
    values = [content["example"]] if "example" in content else []
    for each in content.get("examples", {}).values():
        name = each.get("$ref", "").rpartition("/")[2]
        values.append((document["components"]["examples"][name] if name else each)["value"])
    if model:
        for value in values:
            yield from ((model, each) for each in (value if is_list else [value]))


def main() -> None:
    document = json.loads(Path(sys.argv[1]).read_text())
    read = 0
    for name, value in examples(document):
        model = getattr(slipway_models, name)
        model.model_validate_json(json.dumps(value))
        read += 1
    print(read, "examples read")


if __name__ == "__main__":
    main()
