"""Names, texts and URLs of repositories; the forms in which names are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.domain.fields import normalised, slug
from slipway.domain.project import NewProject, ProjectChange


def project(**fields: object) -> NewProject:
    return NewProject.model_validate(fields)


GOOD_NAMES = {
    "one letter": "a",
    "63 letters": "a" * 63,
    "words": "my first project",
    "another script": "платежи",
    "an emoji of several code points": "👩‍🚀",
    "an emoji of several people": "👩🏽‍❤️‍👨",
    "a flag": "🏳️‍🌈",
    "a key": "1️⃣",
    "letters that a joiner changes": "ക്‍",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hebrew and Latin": "שלום abc",
    "accents": "Zoe\u0308",
    "markup, which is text here": "<b>&amp;</b>",
    "63 letters of four bytes": "\U0001d4b3" * 63,
}
BAD_NAMES = {
    "empty": "",
    "blank": "   ",
    "a blank of another kind": "\u00a0\u2003",
    "64 letters": "a" * 64,
    "a null": "a\0b",
    "a line break": "a\nb",
    "a tab": "a\tb",
    "an escape": "a\x1b[31mb",
    "a delete": "a\x7fb",
    "a control of Latin 1": "a\x85b",
    "a lone surrogate": "a\ud800b",
    "half a byte order mark": "a\ufffeb",
    "no character at all": "a\uffffb",
    "text in the other direction": "a\u202eb",
    "an isolate": "a\u2066b",
    "a mark of direction": "a\u200fb",
    "a space without width": "a\u200bb",
    "a joiner": "a\u200db",
    "a non-joiner": "a\u200cb",
    "a non-joiner that changes nothing": "\u0627\u200c\u0628",
    "a joiner at the end": "👩\u200d",
    "a byte order mark": "a\ufeffb",
    "a soft hyphen": "a\u00adb",
    "a word joiner": "a\u2060b",
    "a selector": "a\ufe0fb",
    "a filler": "a\u3164b",
    "a blank of Braille": "a\u2800b",
    "a joiner of graphemes": "a\u034fb",
    "a tag": "a\U000e0041b",
    "a selector beyond": "a\U000e0100b",
    "private use": "a\ue000b",
    "not assigned": "a\u0378b",
    "a separator of lines": "a\u2028b",
    "longer in the form that is compared than a key may be": "\ufdfa" * 63,
}


@pytest.mark.parametrize("name", GOOD_NAMES.values(), ids=GOOD_NAMES.keys())
def test_a_name_of_1_to_63_characters_is_kept_as_it_is(name: str) -> None:
    assert project(name=name).name == name


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        project(name=name)


def test_the_space_around_a_name_is_removed_before_it_is_measured() -> None:
    assert project(name="  payments \n").name == "payments"
    assert len(project(name=" " * 40 + "a" * 63).name) == 63


@pytest.mark.parametrize("value", [1, 1.5, True, None, ["a"], {"a": 1}, b"a"], ids=repr)
def test_a_name_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        project(name=value)


def test_a_description_may_have_lines_but_no_control_characters() -> None:
    assert project(name="a", description="one\n\ttwo").description == "one\n\ttwo"
    assert project(name="a", description="").description == ""
    for bad in ("a\0", "\x1b[2J", "\r\x08", "\ud800", "a" * 1001):
        with pytest.raises(ValidationError):
            project(name="a", description=bad)


REPOSITORIES = [
    "https://github.com/acme/payments",
    "http://git.local:8080/x",
    "ssh://git@host:22/x.git",
    "git://host/x",
    "git@github.com:acme/payments.git",
]
NO_REPOSITORIES = {
    "a word": "payments",
    "empty": "",
    "a script": "javascript:alert(1)",
    "data": "data:text/html,x",
    "a file": "file:///etc/passwd",
    "no host": "https://",
    "a space": "https://host/a b",
    "a line break": "https://host/\nX: y",
    "a trailing line break": "https://host/x\n",
    "too long": "https://host/" + "a" * 2048,
    "nothing after the colon": "git@host:",
}


@pytest.mark.parametrize("url", REPOSITORIES)
def test_a_url_of_a_repository_is_accepted(url: str) -> None:
    assert project(name="a", repo_url=url).repo_url == url


@pytest.mark.parametrize("url", NO_REPOSITORIES.values(), ids=NO_REPOSITORIES.keys())
def test_a_malformed_url_of_a_repository_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        project(name="a", repo_url=url)


def test_names_that_look_alike_are_one_name() -> None:
    assert normalised("Payments") == normalised("PAYMENTS")
    assert normalised("ﬁle") == normalised("file")
    assert normalised("é") == normalised("e\u0301")
    assert normalised("Straße") == normalised("STRASSE")
    assert normalised("a") != normalised("b")


@given(st.text())
def test_a_slug_is_always_a_valid_part_of_a_host_name(name: str) -> None:
    made = slug(name)

    assert 1 <= len(made) <= 30
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert made[0] != "-" != made[-1]


def test_a_slug_keeps_the_letters_that_it_can() -> None:
    assert slug("Preview PR #123") == "preview-pr-123"
    assert slug("платежи") == "env"
    assert slug("a" * 29 + " b") == "a" * 29


def test_a_change_must_change_something() -> None:
    with pytest.raises(ValidationError, match="at least one of name, description, repo_url"):
        ProjectChange.model_validate({})


def test_a_change_may_empty_what_is_optional_but_not_the_name() -> None:
    change = ProjectChange.model_validate({"description": None})

    assert change.model_dump(exclude_unset=True) == {"description": None}
    with pytest.raises(ValidationError, match="always has a name"):
        ProjectChange.model_validate({"name": None})
