"""Every refusal has a code that programs can rely on and a sentence for people."""

from __future__ import annotations

import json
import re

import pytest

from slipway import errors
from slipway.errors import (
    EnvironmentNotReady,
    FieldError,
    Invalid,
    MethodNotAllowed,
    ProjectNotEmpty,
    SlipwayError,
    TooManyAttempts,
)
from slipway.http.error_page import codes
from tests.support.errors import EVERY

# They only say what their children share.
PARENTS = ["BadRequest", "GrantRefused", "RetryLater"]


def test_no_two_errors_have_the_same_code() -> None:
    inherited = [kind.__name__ for kind in EVERY if "code" not in vars(kind)]
    codes = [kind.code for kind in EVERY if "code" in vars(kind)]

    # Parents of what is raised.
    assert inherited == PARENTS
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_a_code_is_a_word_and_a_title_a_sentence(kind: type[SlipwayError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert re.fullmatch(r"[A-Z][^.]+\.( [A-Z].+\.)?", kind.title)


@pytest.mark.parametrize("kind", codes(), ids=lambda kind: kind.__name__)
def test_the_title_of_a_refusal_says_what_happened_and_what_to_do(kind: type[SlipwayError]) -> None:
    what_happened, _, what_to_do = kind.title.partition(". ")

    assert what_happened and what_to_do


def test_the_tree_in_the_docstring_has_every_class() -> None:
    drawn = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)*\b(?=\s|$)", errors.__doc__ or ""))
    missing = {kind.__name__ for kind in EVERY} - drawn

    assert missing == set(PARENTS)


def test_an_error_without_a_detail_uses_its_title() -> None:
    assert errors.NotFound().detail == errors.NotFound.title
    assert errors.NotFound("No such project").detail == "No such project"
    assert errors.NotFound().headers == {}
    assert errors.NotFound().extra == {}
    assert errors.NotFound().fields == ()


def test_the_detail_has_the_first_broken_rule_and_the_number_of_others() -> None:
    one, two = FieldError("#/name", "is required"), FieldError("?limit", "is not a number")

    assert Invalid([one]).detail == "#/name: is required"
    assert Invalid([one, two]).detail == "#/name: is required (and 1 more)"
    assert Invalid([one, two]).fields == (one, two)
    assert Invalid([one], "my own words").detail == "my own words"


def test_the_headers_of_an_error_say_what_to_do() -> None:
    assert TooManyAttempts(7).headers == {"Retry-After": "7"}
    assert MethodNotAllowed(["GET", "POST"]).headers == {"Allow": "GET, POST"}
    assert "error" not in errors.TokenMissing().headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in errors.TokenInvalid().headers["WWW-Authenticate"]
    assert int(errors.StoreUnavailable().headers["Retry-After"]) > 0


def test_the_extra_fields_of_an_error_name_what_prevents_the_request() -> None:
    living = [{"id": "env_1", "name": "preview"}]

    assert json.loads(json.dumps(dict(ProjectNotEmpty(living).extra))) == {"environments": living}
    assert EnvironmentNotReady("failed").extra == {"environment_status": "failed"}
    assert "failed" in EnvironmentNotReady("failed").detail
