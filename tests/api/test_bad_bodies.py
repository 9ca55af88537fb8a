"""Bodies that break a rule: each is refused with its status, its code and the field at fault."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api.bodies import GOOD, LOGIN, Send, sender
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.people import Stage

pytestmark = pytest.mark.no_cover


@pytest.fixture(scope="module")
def send(stage: Stage) -> Send:
    return sender(stage)


# --- what is no JSON ------------------------------------------------------------------------

NO_JSON: dict[str, str | bytes] = {
    "empty": "",
    "blank": "  \n",
    "an open brace": "{",
    "an open text": '{"name": "x',
    "single quotes": "{'name': 'x'}",
    "a comma too many": '{"name": "x",}',
    "a comment": '{"name": "x"} // yes',
    "two documents": '{"name": "x"}{"name": "y"}',
    "a form": "name=x",
    "a word": "nonsense",
    "NaN": "NaN",
    "a field that is NaN": '{"ttl_hours": NaN}',
    "a field that is infinity": '{"ttl_hours": Infinity}',
    "a field that is minus infinity": '{"config": {"x": [-Infinity]}}',
    "a control character in a text": '{"name": "a\nb"}',
    "an unknown escape": '{"name": "\\x41"}',
    "a lone surrogate": '{"name": "a\\ud800b"}',
    "surrogates in the wrong order": '{"name": "\\udc00\\ud800"}',
    "a lone surrogate in a name": '{"\\ud800": 1}',
    "what is not UTF-8": b'{"name": "\xff"}',
    "Latin 1": '{"name": "ü"}'.encode("latin-1"),
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "a null": b"\0",
    "nested a thousand deep": "[" * 1000 + "]" * 1000,
    "nested as deep as a body may": "[" * 65_000,
    "objects as deep as a body may": '{"a":' * 13_000,
    "a number of too many digits": '{"ttl_hours": ' + "1" * 5000 + "}",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_every_route_refuses_a_body_that_is_not_json(send: Send, body: str | bytes) -> None:
    with nothing_changes():
        answers = [send(name, body) for name in GOOD]

    for answer in answers:
        assert_refused(answer, 400, "malformed_body")


@pytest.mark.parametrize(
    "case,said",
    {
        "what is not UTF-8": "The body is not valid UTF-8.",
        "Latin 1": "The body is not valid UTF-8.",
        "UTF-16": "The body is not valid UTF-8.",
        "a surrogate in UTF-8": "The body is not valid UTF-8.",
        "NaN": "The body is not JSON: NaN is not a JSON number",
        "a number of too many digits": "A number in the body has too many digits.",
        "nested as deep as a body may": "The body is nested too deeply.",
        "an open brace": "The body is not JSON: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
    }.items(),
)
def test_a_body_that_is_not_json_gets_a_detail_in_plain_words(
    send: Send, case: str, said: str
) -> None:
    assert send("project", NO_JSON[case]).json["detail"] == said


@pytest.mark.parametrize(
    "body,pointers",
    [
        ('{"name": "a", "name": "b"}', ["#/name"]),
        ('{"name": "a", "name": "a", "name": "a"}', ["#/name", "#/name"]),
        ('{"name": "a", "x": [1, {"a/b": 1, "c": 2, "a/b": 1}]}', ["#/x/1/a~1b"]),
        ('{"x": {"y": {"z": 1, "z": 2}}, "x": 1}', ["#/x/y/z", "#/x"]),
        ("[" * 900 + '{"a": 1, "a": 2}' + "]" * 900, None),
        ('{"n": 1, "n": 2, "k": [' + ",".join(['{"a":1,"a":2}'] * 3000) + "]}", None),
    ],
    ids=["once", "twice", "in a list", "inside and outside", "deep", "many"],
)
def test_every_route_refuses_duplicate_names(
    send: Send, body: str, pointers: list[str] | None
) -> None:
    with nothing_changes():
        answers = [send(name, body) for name in GOOD]

    for answer in answers:
        assert answer.status in ((422,) if pointers else (400, 422))
        errors = answer.json["errors"]
        assert len(errors) <= 20
        assert pointers is None or [each["pointer"] for each in errors] == pointers
        assert all(each["detail"] == "is given more than once" for each in errors)


def test_the_same_name_in_two_objects_is_not_a_duplicate(stage: Stage) -> None:
    body = '{"name": "x", "policy": {"name": 1}, "description": {"name": 2}}'

    answer = stage.ann.send("POST", "/api/v1/projects", body)

    assert "more than once" not in answer.text


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null", "true", '[{"name": "x"}]'])
def test_every_route_refuses_a_body_that_is_not_an_object(send: Send, body: str) -> None:
    with nothing_changes():
        answers = [send(name, body) for name in GOOD]

    for answer in answers:
        assert_refused(answer, 422, "invalid_request", "#")


@pytest.mark.parametrize(
    "field,pointer",
    [
        ("nope", "#/nope"),
        ("id", "#/id"),
        ("owner", "#/owner"),
        ("status", "#/status"),
        ("pk", "#/pk"),
        ("__proto__", "#/__proto__"),
        ("", "#/"),
        ("a/b~c", "#/a~1b~0c"),
        ("\u202e\0", "#/\u202e\0"),
    ],
)
def test_every_route_refuses_an_unknown_field(send: Send, field: str, pointer: str) -> None:
    with nothing_changes():
        answers = [send(name, **{field: "x"}) for name in GOOD]

    for answer in answers:
        assert_refused(answer, 422, "invalid_request", pointer)
        detail = answer.json["errors"][0]["detail"]
        assert detail == "is not a field here" or detail.startswith("is read-only")


def test_all_fields_at_fault_are_reported_at_once(send: Send) -> None:
    answer = send("environment", name="", type="other", ttl_hours=0, nope=1)

    assert_refused(answer, 422, "invalid_request", "#/nope")
    pointers = {each["pointer"] for each in answer.json["errors"]}
    assert pointers == {"#/name", "#/type", "#/ttl_hours", "#/nope"}
    assert answer.json["detail"].endswith("(and 3 more)")


def test_a_thousand_fields_at_fault_get_a_short_answer(send: Send) -> None:
    answer = send("project", **{f"f{n}": n for n in range(1000)})

    assert_refused(answer, 422, "invalid_request", "#/f0")
    assert len(answer.json["errors"]) <= 20


# --- fields ---------------------------------------------------------------------------------

LEFT_OUT = ...
NAMES: dict[str, Any] = {
    "left out": LEFT_OUT,
    "null": None,
    "empty": "",
    "blank": "   ",
    "64 letters": "x" * 64,
    "very long": "x" * 10_000,
    "a number": 7,
    "a truth": True,
    "a list": ["x"],
    "an object": {"x": "y"},
    "a null character": "a\0b",
    "a line break": "a\nb",
    "an escape": "a\x1b[2J",
    "longer where it is compared": "\ufdfa" * 63,
}
TTLS: dict[str, Any] = {
    "zero": 0,
    "minus zero": -0.0,
    "negative": -1,
    "a little below zero": -1e-9,
    "less than the clock": 1e-9,
    "less than the table": 1e-200,
    "the smallest float": 5e-324,
    "above the policy": 720.001,
    "huge": 1e308,
    "a large whole number": 10**30,
    "beyond every float": 10**400,
    "text": "24",
    "NaN as text": "NaN",
    "empty": "",
    "a truth": True,
    "a list": [24],
    "an object": {"hours": 24},
}
VERSIONS: dict[str, Any] = {
    "left out": LEFT_OUT,
    "null": None,
    "empty": "",
    "101 letters": "v" * 101,
    "a space": "v 1",
    "a line break": "v1\n",
    "an option": "--help",
    "a command": "v1;reboot",
    "another script": "версия",
    "a number": 1,
    "a truth": False,
    "a list": ["v1"],
    "a null character": "v\0",
}
SEQUENCES: dict[str, Any] = {
    "negative": -1,
    "above what JSON counts": 2**53 + 1,
    "a large whole number": 10**30,
    "a fraction": 1.5,
    "text": "7",
    "a truth": True,
    "a list": [7],
    "an object": {"n": 7},
}
MOMENTS: dict[str, Any] = {
    "empty": "",
    "a word": "yesterday",
    "a day": "2026-11-23",
    "without its zone": "2026-11-23T01:02:03",
    "a day that never was": "2026-02-30T01:02:03Z",
    "before there were clocks": "0001-01-01T00:00:00+23:00",
    "after the last year": "9999-12-31T23:59:59-12:00",
    "a number": 1795402800,
    "a number in a text": "1795402800",
    "a fraction in a text": "1795402800.5",
    "a number with its sign": "+1795402800",
    "a truth": True,
    "a list": ["2026-11-23T01:02:03Z"],
}
WAYS: dict[str, Any] = {
    "not known": "replace",
    "in upper case": "QUEUE",
    "empty": "",
    "a number": 1,
    "a truth": True,
    "a list": ["queue"],
}
EXTERNAL_IDS: dict[str, Any] = {
    "empty": "",
    "256 letters": "x" * 256,
    "1004 bytes": "\U0001f680" * 251,
    "a space at its end": "a ",
    "an empty part": "a//b",
    "a slash at its end": "a/",
    "a part that is left out": "a/../b",
    "an invisible character": "a\u200b",
    "a newline": "a\nb",
    "a null character": "pr\0",
    "a number": 1,
    "a list": ["pr-1"],
}
EMAILS: dict[str, Any] = {
    "left out": LEFT_OUT,
    "null": None,
    "empty": "",
    "a word": "ann",
    "two at signs": "a@b@example.com",
    "a header": "a@example.com\r\nBcc: b@example.com",
    "a null character": "a\0@example.com",
    "too long": "a" * 300 + "@example.com",
    "a number": 7,
    "a list": ["a@example.com"],
}
PASSWORDS: dict[str, Any] = {
    "left out": LEFT_OUT,
    "null": None,
    "empty": "",
    "7 letters": "x" * 7,
    "129 letters": "x" * 129,
    "a number": 12345678,
    "a list": ["secret123"],
}
OTHERS: dict[str, tuple[str, str, Any]] = {
    "a description that is too long": ("project", "description", "x" * 1001),
    "a description with a control character": ("project", "description", "a\0b"),
    "a description that is a list": ("project", "description", []),
    "a repository that is a script": ("project", "repo_url", "javascript:alert(1)"),
    "a repository that is a file": ("project", "repo_url", "file:///etc/passwd"),
    "a repository that is a number": ("project", "repo_url", 1),
    "a policy that is a text": ("project", "policy", "idle"),
    "a type that is not known": ("environment", "type", "forever"),
    "a type that is left out": ("environment", "type", LEFT_OUT),
    "a type in upper case": ("environment", "type", "EPHEMERAL"),
    "a type that is a list": ("environment", "type", ["ephemeral"]),
    "a configuration that is a list": ("environment", "config", [1]),
    "a configuration that is a text": ("environment", "config", "{}"),
    "a configuration that is too large": ("environment", "config", {"k": "x" * 16_384}),
    "a way that is not known": ("environment", "on_conflict", "replace"),
    "a way that is null": ("environment", "on_conflict", None),
    "leave to be outdated that is a text": ("deployment", "allow_outdated", "yes"),
    "leave to be outdated that is null": ("deployment", "allow_outdated", None),
    "leave to be outdated that is a number": ("deployment", "allow_outdated", 1),
    "another kind of grant": ("login", "grant_type", "client_credentials"),
    "a password that is too long to be anybody's": ("login", "password", "x" * 513),
    "a name that is too long to be anybody's": ("login", "username", "x" * 255),
    "a name that is a list": ("login", "username", ["ann@example.com"]),
    "an extension that is left out": ("extend", "ttl_hours", LEFT_OUT),
    "an extension that is null": ("extend", "ttl_hours", None),
    "a reason that is left out": ("pin", "reason", LEFT_OUT),
    "a reason that is blank": ("pin", "reason", "  "),
    "a reason that is too long": ("pin", "reason", "x" * 201),
    "a reason with a control character": ("pin", "reason", "a\0b"),
}


def table() -> dict[str, tuple[str, str, Any]]:
    """By what is wrong: which body, which field, which value."""
    fields: list[tuple[str, str, dict[str, Any]]] = [
        ("project", "name", NAMES),
        ("change", "name", {case: bad for case, bad in NAMES.items() if bad is not LEFT_OUT}),
        ("environment", "name", NAMES),
        ("environment", "ttl_hours", TTLS),
        ("environment", "external_id", EXTERNAL_IDS),
        ("ensure", "name", NAMES),
        ("ensure", "ttl_hours", TTLS),
        ("deployment", "version", VERSIONS),
        ("deployment", "sequence", SEQUENCES),
        ("deployment", "committed_at", MOMENTS),
        ("deployment", "on_conflict", WAYS),
        ("register", "email", EMAILS),
        ("register", "password", PASSWORDS),
    ]
    found = {
        f"{body}'s {field}: {case}": (body, field, bad)
        for body, field, cases in fields
        for case, bad in cases.items()
    }
    below = {case: bad for case, bad in TTLS.items() if case not in ("above the policy", "huge")}
    for case, bad in below.items():
        if case != "a large whole number":
            found[f"extend's ttl_hours: {case}"] = ("extend", "ttl_hours", bad)
    return found | OTHERS


TABLE = table()


@pytest.mark.parametrize("body,field,bad", TABLE.values(), ids=TABLE.keys())
def test_a_field_that_breaks_a_rule_is_refused_by_name(
    send: Send, body: str, field: str, bad: Any
) -> None:
    with nothing_changes():
        answer = send(body, **{field: bad})

    assert_refused(answer, 422, "invalid_request", f"#/{field}")
    assert "Traceback" not in answer.text
    assert "pydantic" not in answer.text


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400, "1E+999"])
def test_a_number_that_is_too_large_for_a_float_is_refused(send: Send, number: str) -> None:
    body = '{"name": "x", "type": "ephemeral", "%s": %s}'
    with nothing_changes():
        hours = send("environment", body % ("ttl_hours", number))

    assert_refused(hours, 422, "invalid_request", "#/ttl_hours")
    if "e" in number.lower():
        with nothing_changes():
            config = send("environment", body % ("config", f'{{"x": {number}}}'))
        assert_refused(config, 422, "invalid_request", "#/config")


def test_ttl_hours_of_a_persistent_environment_are_refused(send: Send) -> None:
    with nothing_changes():
        answer = send("environment", type="persistent", ttl_hours=24)

    assert_refused(answer, 422, "invalid_request", "#/ttl_hours")
    assert answer.json["errors"][0]["detail"] == "is only allowed for ephemeral environments"


def test_an_empty_change_is_refused(send: Send) -> None:
    with nothing_changes():
        answer = send("change", "{}")

    assert_refused(answer, 422, "invalid_request", "#")


POLICIES: dict[str, tuple[Any, str]] = {
    "a default of zero": ({"default_ttl_hours": 0}, "default_ttl_hours"),
    "a default that the table cannot hold": ({"default_ttl_hours": 1e-200}, "default_ttl_hours"),
    "a maximum that the table cannot hold": ({"max_ttl_hours": 5e-324}, "max_ttl_hours"),
    "a default above the platform's maximum": ({"default_ttl_hours": 721}, "default_ttl_hours"),
    "a maximum above the platform's": ({"max_ttl_hours": 1e9}, "max_ttl_hours"),
    "a default above the maximum": (
        {"default_ttl_hours": 8, "max_ttl_hours": 4},
        "max_ttl_hours",
    ),
    "a mode that is not known": ({"expiry_mode": "never"}, "expiry_mode"),
    "warnings that are a number": ({"warn_before_hours": 1}, "warn_before_hours"),
    "warnings that are the same": ({"warn_before_hours": [1, 1.0]}, "warn_before_hours"),
    "too many warnings": ({"warn_before_hours": [1, 2, 3, 4, 5, 6]}, "warn_before_hours"),
    "a warning after the end": ({"warn_before_hours": [2, -1]}, "warn_before_hours/1"),
    "a warning before the calendar": ({"warn_before_hours": [1e300]}, "warn_before_hours/0"),
    "a field that is not known": ({"nope": 1}, "nope"),
}


@pytest.mark.parametrize("policy,field", POLICIES.values(), ids=POLICIES.keys())
def test_a_policy_that_breaks_a_rule_is_refused(send: Send, policy: Any, field: str) -> None:
    for name in ("project", "change"):
        with nothing_changes():
            answer = send(name, policy=policy)

        assert_refused(answer, 422, "invalid_request", f"#/policy/{field}")


# --- forms ----------------------------------------------------------------------------------

FORMS: dict[str, tuple[str | bytes, int, str, str | None]] = {
    "empty": ("", 422, "invalid_request", "#/username"),
    "no password": ("username=ann@example.com", 422, "invalid_request", "#/password"),
    "a field that is not known": ("username=a&password=b&x=1", 422, "invalid_request", "#/x"),
    "a name that is given twice": (
        "username=ann@example.com&username=bob@example.com&password=x",
        422,
        "invalid_request",
        "#/username",
    ),
    "a password that is given twice": (
        "username=a&password=b&password=b",
        422,
        "invalid_request",
        "#/password",
    ),
    "what is not UTF-8": (b"username=\xff&password=x", 400, "malformed_body", None),
    "what is not UTF-8 when it is decoded": (
        "username=%ff&password=x",
        400,
        "malformed_body",
        None,
    ),
    "too many fields": ("&".join(f"f{n}=1" for n in range(100)), 400, "malformed_body", None),
    "JSON": ('{"username":"a","password":"b"}', 422, "invalid_request", "#/username"),
    "another kind of grant": (
        "username=a&password=b&grant_type=refresh_token",
        422,
        "invalid_request",
        "#/grant_type",
    ),
}


@pytest.mark.parametrize("form,status,code,pointer", FORMS.values(), ids=FORMS.keys())
def test_a_bad_form_is_refused(
    stage: Stage, form: Any, status: int, code: str, pointer: str | None
) -> None:
    with nothing_changes():
        answer = stage.ann.send("POST", LOGIN, form, media="application/x-www-form-urlencoded")

    assert_refused(answer, status, code, pointer)


def test_a_refusal_never_repeats_a_password(send: Send) -> None:
    for answer in (
        send("register", password="hunter2"),
        send("register", email="x", password="hunter2-secret"),
        send("login", password=["hunter2"]),
    ):
        assert answer.status == 422
        assert "hunter2" not in answer.text
