"""The linters' findings in the OpenAPI document. Each exception has its reason, in a file here."""

from __future__ import annotations

import re

from tests.support.client_tools import (
    DOCUMENT,
    HERE,
    needs_node_tools,
    needs_python_tools,
    node_tool,
    python_tool,
)


@needs_python_tools
def test_the_document_is_valid_openapi() -> None:
    assert python_tool("openapi-spec-validator", DOCUMENT).strip().endswith("OK")


@needs_node_tools
def test_redocly_finds_nothing_but_the_exceptions() -> None:
    printed = node_tool("redocly", "lint", "--config", HERE / "redocly.yaml", DOCUMENT)

    assert "Your API description is valid" in printed


@needs_node_tools
def test_spectral_finds_nothing_but_the_exceptions() -> None:
    rules = HERE / "spectral.yaml"

    printed = node_tool("spectral", "lint", "--ruleset", rules, "--fail-severity", "hint", DOCUMENT)

    assert "No results" in printed


def test_every_exception_has_a_reason() -> None:
    for name, exception in (
        ("redocly.yaml", r"\w+(?:-\w+)+: off"),
        ("spectral.yaml", r"\w+(?:-\w+)+: off"),
        (".redocly.lint-ignore.yaml", r"\w+(?:-\w+)+:"),
    ):
        lines = (HERE / name).read_text().splitlines()
        excepted = [n for n, line in enumerate(lines) if re.fullmatch(rf"  {exception}", line)]
        assert excepted
        for n in excepted:
            assert lines[n - 1].startswith("  # "), lines[n]
