"""The matcher of AllowedPattern against Java's, and its costs.

java_patterns.json has what `java.util.regex` of OpenJDK 17 answers to `Pattern.compile(pattern)
.matcher(text).matches()`, for patterns made at random of every construct that is parsed here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain.effort import Budget
from slipway.domain.patterns import Pattern

STEPS = 250_000
JAVA: list[tuple[str, str, str]] = json.loads(
    Path(__file__).with_name("java_patterns.json").read_text()
)


def refuses(pattern: str, text: str, steps: int = STEPS) -> bool:
    return Pattern(pattern, Budget(steps)).refuses(text)


def test_nothing_that_java_matches_is_refused() -> None:
    matched = [(pattern, text) for pattern, text, answer in JAVA if answer == "yes"]

    assert len(matched) > 500
    assert [case for case in matched if refuses(*case)] == []


def test_most_of_what_java_does_not_match_is_refused() -> None:
    """The rest has a construct that matches anything here, or is not understood."""
    others = [(pattern, text) for pattern, text, answer in JAVA if answer == "no"]

    assert len(others) > 250
    assert sum(refuses(*case) for case in others) > 0.65 * len(others)


@pytest.mark.parametrize(
    "pattern,good,bad",
    [
        ("", "", "a"),
        ("[a-z][a-z0-9-]{0,3}", "a-1", "a-1bc"),
        ("^[a-z]+$", "abc", "abc\n"),
        ("a$\\n", "a\n", "a"),
        ("a|bc|", "bc", "b"),
        ("(ab?)*c", "aabc", "abb"),
        ("x{2}", "xx", "xxx"),
        ("x{2,}", "xxxx", "x"),
        ("(?:a{1,2}){2}", "aaaa", "aaaaa"),
        ("(?i)abc", "aBC", "abd"),
        ("(?i:a)b", "Ab", "AB"),
        ("[a-z&&[^aeiou]]+", "xyz", "xya"),
        ("[a-c[x-z]]", "y", "d"),
        (r"\p{Lower}+", "abc", "aBc"),
        (r"\p{L}+", "é", "1"),
        (r"\d{3}-\w+", "123-ab", "12-ab"),
        (r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "a.b@c.de", "a.b@c"),
        (r"arn:(aws[a-zA-Z-]*):s3:::.+", "arn:aws:s3:::b", "arn:aws:s3::b"),
        (r"\Qa.b\E", "a.b", "axb"),
        (r"(?s).", "\n", "ab"),
        (r".", "a", "\n"),
        (r"\x41\u0042\0103", "ABC", "ABD"),
        (r"(?=.*\d).{2,4}", "a1", "a1b2c"),
        (r"(a)\1b", "aab", "aac"),
        ("\U0001f680{2}", "\U0001f680\U0001f680", "\U0001f680"),
    ],
)
def test_the_whole_text_must_match(pattern: str, good: str, bad: str) -> None:
    assert not refuses(pattern, good)
    assert refuses(pattern, bad)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "[", "*", "a**", "a{2,1}", "a{", r"\y", r"\p{Nope}", "(?z)", "(?<1>a)", "\\"),
        *("[^a&&b]", "(?x)a", r"\ud83d\ude80", r"\N{DASH}", r"\b{g}", "(" * 60 + ")" * 60),
    ],
)
def test_a_pattern_that_is_not_understood_refuses_nothing(pattern: str) -> None:
    assert not refuses(pattern, "no such text")


_PARTS = st.sampled_from(
    [
        *("a", "b", "ab", ".", "[ab]", "[^a]", "(?:a|b)", "(a|ab)", "(b?)", "a*", "(?:ab)*", "b+"),
        *("a?", "a{2}", "(?:ab?){1,2}", "[a-c]{2,}", "^", "$", "(?:)", "(?:a*)*", "(?:a|b|)+"),
    ]
)


@given(st.lists(_PARTS, max_size=6).map("".join), st.text("abc\n", max_size=6))
def test_what_java_and_python_agree_on_is_matched_alike(pattern: str, text: str) -> None:
    wanted = re.fullmatch(pattern, text) is not None

    # Python's $ matches before a last newline, and a newline is left to be read, as with Java.
    assert refuses(pattern, text) is not wanted


@given(st.text("ab|*+?(){}[]^$\\dQE:=!<>-&,1 .", max_size=30), st.text("ab1 ", max_size=9))
def test_no_pattern_raises(pattern: str, text: str) -> None:
    assert refuses(pattern, text) in (True, False)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*)*b", "(a?){30}a{30}b"])
def test_a_pattern_that_backtracks_forever_takes_few_steps(pattern: str) -> None:
    assert refuses(pattern, "a" * 60 + "c", steps=20_000)


@pytest.mark.parametrize("pattern", ["((a{99}){99}){99}", "a" * 300_000, "(" + "|" * 300_000 + ")"])
def test_a_pattern_beyond_the_budget_refuses_nothing(pattern: str) -> None:
    assert not refuses(pattern, "b")


def test_patterns_share_the_budget() -> None:
    budget = Budget(1000)

    found = [Pattern("[a-z]{50}", budget).refuses("1") for _ in range(20)]

    assert found[0] and not found[-1]
    assert found == sorted(found, reverse=True)
