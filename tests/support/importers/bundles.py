"""Bundles in Proton's format, made for a test."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUNDLES = Path(__file__).parents[2] / "importers/bundles"
MANIFEST = """infrastructure:
  templates:
    - {file: cloudformation.yaml, rendering_engine: jinja, template_language: cloudformation}
"""
FOLDERS = {"environment": "infrastructure", "service": "instance_infrastructure"}


def files(template: str, properties: str, kind: str = "environment") -> dict[str, str]:
    """`properties` of the schema's only type, as YAML."""
    schema = (
        f"schema:\n  format: {{openapi: '3.0.0'}}\n  {kind}_input_type: In\n  types:\n"
        "    In:\n      type: object\n      required: [a]\n      properties:\n"
        + textwrap.indent(properties.strip("\n"), "        ")
    )
    folder = FOLDERS[kind]
    return {
        "schema/schema.yaml": schema + "\n",
        f"{folder}/manifest.yaml": MANIFEST,
        f"{folder}/cloudformation.yaml": template,
    }


def write(folder: Path, named: dict[str, str]) -> Path:
    for name, text in named.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@contextmanager
def bundle(template: str, properties: str, kind: str = "environment") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield write(Path(folder), files(template, properties, kind))
