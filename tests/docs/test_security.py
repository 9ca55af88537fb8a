"""docs/security.md promises nothing without a test, and every test that it names exists."""

from __future__ import annotations

import re

import pytest

from tests.support.promises import TEST, missing, named, rows
from tests.support.repository import ROOT

PAGE = ROOT / "docs/security.md"
# A row without a test names the owner as responsible, or says that the promise is not met.
ANSWERS = re.compile(r"\*\*(owner|not met)\*\*")


def test_the_page_has_its_tables() -> None:
    first = [row[0] for row in rows(PAGE)]

    assert {f"API{number}" for number in range(1, 11)} <= {each.split()[0] for each in first}
    assert len(first) >= 45


@pytest.mark.parametrize("row", rows(PAGE), ids=lambda row: " ".join(row[:2])[:60])
def test_every_row_names_a_test_or_who_answers_for_it(row: list[str]) -> None:
    assert TEST.search(row[-1]) or ANSWERS.search(row[-1]), row[-1]


def test_every_test_that_the_page_names_exists() -> None:
    assert len(named(PAGE)) > 40
    assert missing(PAGE) == []
