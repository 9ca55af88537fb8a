"""The documentation holds together: links, the index of decisions, diagrams and routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from slipway.domain import deployment, environment
from slipway.domain.events import Action, DerivedAction

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]


def _outside_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def _links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", _outside_code(page.read_text())):
        if not re.match(r"[a-z]+:", target):
            yield target


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)

    assert broken == []


def test_the_readme_has_at_most_200_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, to_read = set(), [ROOT / "README.md"]
    while to_read:
        page = to_read.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in _links(page))
        to_read += [each for each in targets if each.is_file()]

    assert {str(page.relative_to(ROOT)) for page in PAGES if page not in reached} <= {
        "CHANGELOG.md"
    }


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_begins_with_its_date_and_status_and_is_in_the_index(page: Path) -> None:
    title, blank, header = page.read_text().splitlines()[:3]
    number = int(page.name[:4])

    heading = re.fullmatch(rf"# {number}\. (.+)", title)
    told = re.fullmatch(
        r"Date: (\d{4}-\d\d-\d\d)(?:, revised \d{4}-\d\d-\d\d)?\. "
        r"Status: (accepted|superseded by \d+|deprecated)\.",
        header,
    )
    assert heading and told and not blank
    row = f"| {number} | [{heading[1]}]({page.name}) | {told[1]} | {told[2]} |"
    assert row in (ROOT / "docs/decisions/README.md").read_text().splitlines()


def test_the_guide_to_the_api_explains_every_action_of_an_event() -> None:
    section = (ROOT / "docs/api.md").read_text().partition("## Events")[2].partition("\n## ")[0]

    explained = re.findall(r"^\| `(\w+)` \| \w.+ \|$", section, re.MULTILINE)

    assert sorted(explained) == sorted((*get_args(Action), *get_args(DerivedAction)))


def _diagram(title: str) -> set[tuple[str, str]]:
    """The transitions of the state diagram in this section of the architecture page."""
    section = (ROOT / "docs/architecture.md").read_text().partition(f"## {title}")[2]
    diagram = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", section, re.DOTALL)
    assert diagram
    return set(re.findall(r"^ *(\w+) --> (\w+)", diagram[1], re.MULTILINE))


@pytest.mark.parametrize(
    ("title", "allowed"),
    [
        ("A deployment, from POST to live", deployment.CAN_BECOME),
        ("The life of an environment", environment.CAN_BECOME),
    ],
)
def test_a_state_diagram_shows_exactly_the_transitions_that_are_allowed(
    title: str, allowed: dict[str, frozenset[str]]
) -> None:
    assert _diagram(title) == {(a, b) for a, following in allowed.items() for b in following}


def test_the_guide_to_the_api_mentions_every_route() -> None:
    paths = json.loads((ROOT / "functions/api/docs/openapi.json").read_text())["paths"]
    table = (ROOT / "docs/api.md").read_text().partition("## Routes")[2].partition("\n## ")[0]

    # The table shortens what several routes share to `…`, so the last word tells them apart.
    words = {re.sub(r"/?\{\w+\}", "", path).rstrip("/").rpartition("/")[2] for path in paths}

    assert {word for word in words if word not in table} == {"jwks.json"}
