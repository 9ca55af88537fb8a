"""If-Match and If-None-Match: which tags a header lists, and how they are compared."""

from __future__ import annotations

import time

import pytest

from slipway.domain.preconditions import IfMatch, tags

LISTS = {
    '"1"': ['"1"'],
    ' "1" ': ['"1"'],
    '"1","2"': ['"1"', '"2"'],
    '"1" , W/"2",\t"3"': ['"1"', 'W/"2"', '"3"'],
    ', "1",, "2",': ['"1"', '"2"'],
    '"a,b", "c"': ['"a,b"', '"c"'],
    '""': ['""'],
    "*": ["*"],
    " * ": ["*"],
    "": [],
    "1": [],
    '"1", 2': [],
    '"1" "2"': [],
    'w/"1"': [],
    'W/ "1"': [],
    '"1': [],
    '"a b"': [],
    '*, "1"': [],
    '"1", *': [],
}


@pytest.mark.parametrize("header", LISTS, ids=repr)
def test_a_header_is_a_list_of_tags_or_a_star(header: str) -> None:
    assert list(tags(header)) == LISTS[header]


def test_if_match_compares_strongly() -> None:
    either = IfMatch('"1", W/"2", "3"')

    assert [version in either for version in (1, 2, 3, 4)] == [True, False, True, False]
    assert not either.matches('W/"2"')


def test_if_none_match_compares_weakly() -> None:
    neither = IfMatch(None, 'W/"1", "2"')

    assert [version in neither for version in (1, 2, 3)] == [False, False, True]
    assert neither.is_known('W/"2"')


def test_a_star_is_any_object_that_exists() -> None:
    assert 7 in IfMatch("*")
    assert not IfMatch("*").allows_creation
    assert 7 not in IfMatch(None, "*")
    assert IfMatch(None, "*").allows_creation


def test_a_malformed_if_match_allows_nothing_and_a_malformed_if_none_match_everything() -> None:
    assert 1 not in IfMatch("1")
    assert 1 in IfMatch(None, "1")


def test_both_must_allow_the_object() -> None:
    assert 2 in IfMatch('"2"', '"1"')
    assert 2 not in IfMatch('"2"', '"2"')
    assert 2 not in IfMatch('"1"', '"3"')


def test_no_headers_are_no_preconditions() -> None:
    assert IfMatch.of({"accept": "*/*"}) is None
    assert IfMatch.of({"if-match": ""}) is not None


@pytest.mark.parametrize("unit", ['"a",', " ,", ' "', 'W/"a" ', "\t", '"a"\t ,'])
def test_a_header_of_ten_thousand_letters_is_read_in_linear_time(unit: str) -> None:
    header = unit * (10_000 // len(unit))

    began = time.process_time()
    tags(header)

    assert time.process_time() - began < 0.2
