"""Files of variables: what is read of them, and that what is written is read as it was."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import dotenv
from slipway.domain.configuration_rules import NAME
from slipway.errors import Invalid, Malformed

_VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(st.from_regex(NAME, fullmatch=True), _VALUES, max_size=5))
def test_what_is_written_is_read_as_it_was(values: dict[str, str]) -> None:
    assert dotenv.read(dotenv.written(values, ["a comment"])) == values


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b  ", "b"),
        ("A=b # a comment", "b"),
        ("A=b#c", "b#c"),
        ("A=#c", ""),
        ("A=", ""),
        ("A='b # \\n $c'", "b # \\n $c"),
        ('A="b\\n\\"c\\" \\$d \\\\"', 'b\n"c" $d \\'),
        ('A="two\nlines" # a comment', "two\nlines"),
        ("A=b c 'd'", "b c 'd'"),
        ("A=b=c", "b=c"),
        ("\ufeffA=b\r\n", "b"),
    ],
)
def test_a_line_is_read_as_the_usual_tools_do(line: str, value: str) -> None:
    assert dotenv.read(f"{line}\n\n# the end\n") == {"A": value}


@pytest.mark.parametrize("line", ["A", "=b", "A B=c", "A='b", 'A="b', "A='b'c", 'A="b"c', "'A'=b"])
def test_a_line_that_is_no_assignment_is_malformed(line: str) -> None:
    with pytest.raises(Malformed, match="Line 2 "):
        dotenv.read(f"FINE=1\n{line}\n")


def test_a_name_is_given_once() -> None:
    with pytest.raises(Invalid, match="#/A: is given more than once"):
        dotenv.read("A=1\nB=2\nA=3")


@pytest.mark.parametrize(
    "text",
    ["A=b" + " " * 500_000 + "c", "A='" * 200_000, 'A="' + "\\" * 500_000, " " * 500_000 + "x"],
)
def test_a_long_text_is_read_in_the_time_that_its_length_takes(text: str) -> None:
    began = time.process_time()
    with suppress(Malformed):
        dotenv.read(text)

    assert time.process_time() - began < 2
