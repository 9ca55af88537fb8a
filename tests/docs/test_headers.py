"""docs/api.md has a row for every header that is read or sent, with the test that shows it."""

from __future__ import annotations

import re

import pytest

from slipway.http import headers
from tests.support.promises import TEST, missing, rows
from tests.support.repository import ROOT

PAGE = ROOT / "docs/api.md"
NAME = re.compile(r"`([A-Z][\w-]*|apigw-requestid)`")
READ = re.compile(
    r"""headers(?:"\])?(?:\.get\(\s*|\[)"([a-z-]+)"|"([a-z-]+)" in event\["headers"\]"""
)
SENT = re.compile(r'"([A-Z][a-z]+(?:-[A-Z][a-z]+)+|ETag|Link|Location|Allow|Vary)"(?=[\]:])')


def described() -> set[str]:
    return {name.lower() for row in rows(PAGE) for name in NAME.findall(row[0])}


def sources() -> str:
    folders = ("layers/core/slipway/http", "layers/core/slipway/errors", "functions/api")
    return "\n".join(
        path.read_text(encoding="utf-8") for each in folders for path in (ROOT / each).rglob("*.py")
    )


def test_every_header_that_is_read_is_described() -> None:
    read = {one or other for one, other in READ.findall(sources())}

    assert {"authorization", "if-match", "if-none-match", "accept", "prefer", "origin"} <= read | {
        # Read by slipway.domain.preconditions.
        "if-match",
        "if-none-match",
    }
    assert read - described() == set()


def test_every_header_that_is_sent_is_described() -> None:
    sent = {name.lower() for name in SENT.findall(sources())}
    sent |= {name.strip().lower() for name in headers.EXPOSED.split(",")}
    sent |= {name.lower() for name in headers.ALWAYS}

    assert {"etag", "location", "vary", "retry-after", "cache-control"} <= sent
    assert sent - described() == set()


@pytest.mark.parametrize("row", rows(PAGE), ids=lambda row: row[0][:60])
def test_every_row_names_a_test(row: list[str]) -> None:
    assert len(row) == 3
    assert TEST.search(row[-1]), row


def test_every_test_that_the_page_names_exists() -> None:
    assert len(rows(PAGE)) > 25
    assert missing(PAGE) == []
