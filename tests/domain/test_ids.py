"""Ids carry their parents, sort by age, and any other text is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import ids
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.errors import NotFound

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PART = "01kaq3h5x0c2m9f7r4tz"
parts = st.text(ALPHABET, min_size=20, max_size=20)
PARSERS = [ids.parse_project, ids.parse_environment, ids.parse_deployment]
every_parser = pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)


@given(p=parts, e=parts, d=parts)
def test_an_id_is_parsed_as_it_was_written(p: str, e: str, d: str) -> None:
    project, environment, deployment = ProjectId(p), EnvironmentId(p, e), DeploymentId(p, e, d)

    assert ids.parse_project(str(project)) == project
    assert ids.parse_environment(str(environment)) == environment
    assert ids.parse_deployment(str(deployment)) == deployment


def test_an_id_names_its_parents() -> None:
    deployment = DeploymentId("a" * 20, "b" * 20, "c" * 20)

    assert deployment.environment == EnvironmentId("a" * 20, "b" * 20)
    assert deployment.environment.project == ProjectId("a" * 20)


def test_every_id_can_name_an_execution() -> None:
    longest = str(DeploymentId(*(ids.new_part() for _ in range(3))))

    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", longest)
    assert re.fullmatch(rf"usr_[{ALPHABET}]{{20}}", ids.new_user_id())


def test_a_later_part_sorts_after_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for second in (1, 1_000_000_000, 1_790_000_000, 1_790_000_000.001, 32_000_000_000):
        monkeypatch.setattr("time.time", lambda second=second: second)
        made.append(ids.new_part())

    assert made == sorted(made)


@given(earlier=st.text(ALPHABET, min_size=20, max_size=20).filter(lambda part: part[0] < "z"))
def test_a_part_after_another_is_later_even_if_the_clock_is_behind(earlier: str) -> None:
    later = ids.new_part(after=earlier)

    assert later > earlier
    assert ids.parse_project(f"prj_{later}")


def test_parts_of_the_same_time_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_790_000_000.0)

    made = {ids.new_part() for _ in range(200)}

    assert len(made) == 200
    assert len({part[:10] for part in made}) == 1


BAD = {
    "empty": "",
    "only the prefix": "prj_",
    "a short part": f"prj_{PART[:-1]}",
    "a long part": f"prj_{PART}0",
    "upper case": f"prj_{PART.upper()}",
    "a letter that the alphabet leaves out": f"prj_{'i' * 20}",
    "l": f"env_{PART}_{'l' * 20}",
    "o": f"prj_{'o' * 20}",
    "u": f"prj_{'u' * 20}",
    "a part too many": f"dep_{PART}_{PART}_{PART}_{PART}",
    "an unknown prefix": f"usr_{PART}",
    "a line's end": f"prj_{PART}\n",
    "a leading space": f" prj_{PART}",
    "digits of another script": f"prj_{'٣' * 20}",
    "a null": f"prj_{PART[:-1]}\0",
    "a lone surrogate": f"prj_{PART[:-1]}\ud800",
    "a path": "../../etc/passwd",
    "very long": "prj_" + "0" * 100_000,
}


@every_parser
@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_malformed_id_is_not_found(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(NotFound):
        parse(text)


@every_parser
def test_an_id_of_another_kind_is_not_found(parse: object) -> None:
    texts = [f"prj_{PART}", f"env_{PART}_{PART}", f"dep_{PART}_{PART}_{PART}"]
    readable = 0
    assert callable(parse)
    for text in texts:
        try:
            parse(text)
        except NotFound:
            continue
        readable += 1

    assert readable == 1


@given(st.text())
def test_any_text_is_an_id_or_not_found(text: str) -> None:
    for parse in PARSERS:
        try:
            found = parse(text)
        except NotFound:
            continue
        assert str(found) == text
