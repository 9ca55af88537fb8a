"""What pages load: little, kept for a year, and what it was when it came from npm."""

from __future__ import annotations

import gzip
import hashlib
import re

from tests.support.console import Browser, elements
from tests.support.repository import ROOT

ASSETS = ROOT / "functions/api/console/assets"
FOREVER = "public, max-age=31536000, immutable"
BUDGET = 60_000


def loaded(page: str) -> list[str]:
    links = [each["href"] for each in elements(page, "link")]
    return [str(each) for each in [*links, *(s["src"] for s in elements(page, "script"))]]


def test_the_first_page_and_all_that_it_loads_is_small(stranger: Browser, ann: Browser) -> None:
    for browser, path in ((stranger, "/console/sign-in"), (ann, "/console")):
        page = browser.get(path).text
        size = len(gzip.compress(page.encode(), 6))
        for address in loaded(page):
            size += len(gzip.compress(browser.get(address).raw, 6))
        assert size < BUDGET / 5, path
    assert len(loaded(page)) == 4


def test_an_asset_is_kept_under_its_hash_alone(stranger: Browser) -> None:
    for address in loaded(stranger.get("/console/sign-in").text):
        kept = stranger.get(address, accept_encoding="gzip, br")
        plain = stranger.get(address)
        assert (kept.status, kept.headers["cache-control"]) == (200, FOREVER)
        assert kept.headers["content-encoding"] == "gzip" and kept.raw == plain.raw
        assert kept.headers["vary"] == "Accept-Encoding"
        stale = re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", address)
        assert stranger.get(stale).headers["cache-control"] == "no-cache"


def test_there_is_no_other_file(stranger: Browser) -> None:
    for name in ("README.0.md", "../app.0.py", "console.css", "x.0.js", "", "..%2fapp.0.py"):
        answer = stranger.get(f"/console/assets/{name}")
        assert answer.status == 404, name


def test_what_comes_from_npm_is_unchanged() -> None:
    rows = re.findall(
        r"^\| (\S+\.js) \(.+\) \| (\S+) \S+ \| .+ \((.+)\) \| ([0-9a-f]{64}) \|$",
        (ASSETS / "README.md").read_text(),
        re.M,
    )

    assert [name for name, _, _, _ in rows] == ["idiomorph.js"]
    for name, _, licence, digest in rows:
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest
        assert (ASSETS / licence).stat().st_size > 100
