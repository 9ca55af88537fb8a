"""Known secrets are masked in any text, and errors of AWS name no role and no account."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain.masking import MIN_LENGTH, WITHHELD, Masker, without_identities

SECRET = 'hunter2/ü&"x y'


@pytest.mark.parametrize(
    "said",
    [
        SECRET,
        SECRET.upper(),
        f"Bucket {SECRET} exists",
        f"{SECRET}{SECRET}",
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps({"a": SECRET}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        json.dumps(json.dumps({"a": SECRET})),
        html.escape(SECRET),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"us:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"#!{SECRET}\nmore".encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_each_form_in_which_it_appears(said: str) -> None:
    masked = Masker([SECRET]).text(f"before {said} after")

    assert "****" in masked
    assert masked.startswith("before ") and masked.endswith(" after")
    assert "hunter" not in masked.lower()
    for form in (SECRET.encode(), f"user:{SECRET}".encode(), f"us:{SECRET}".encode()):
        assert base64.b64encode(form).decode()[4:-4] not in masked


def test_a_text_without_secrets_stays_as_it_is() -> None:
    said = "Q (AWS::SQS::Queue): Invalid value for the parameter DelaySeconds"

    assert Masker(["hunter2"]).text(said) == said
    assert Masker([]).text(said) == said
    assert Masker(["hunter2"]).text("") == ""


def test_the_longest_of_several_secrets_is_masked_first() -> None:
    assert Masker(["pass", "password1"]).text("is password1") == "is ****"


def test_entries_of_lists_and_lines_are_secrets_too() -> None:
    masker = Masker(["first-key, second-key", "-----BEGIN\nMIIEvQIBADANBg\n-----END"])

    assert masker.text("no such key: second-key") == "no such key: ****"
    assert masker.text("at MIIEvQIBADANBg") == "at ****"


@pytest.mark.parametrize("cut", [8, 10, 13])
def test_a_secret_that_is_cut_off_at_the_end_is_masked(cut: int) -> None:
    assert Masker(["hunter2-and-more"]).text("is hunter2-and-more"[: 3 + cut]) == "is ****"
    assert Masker(["hunter2-and-more"]).text("is hunter2-and-m...") == "is ****..."


@pytest.mark.parametrize("value", ["a", "no", "on", "123"])
def test_a_short_secret_shows_neither_itself_nor_its_place(value: str) -> None:
    masker = Masker([value])

    assert masker.text(f"it is {value}!") == WITHHELD
    assert masker.text("CREATE_FAILED: something1234 banana") == (
        "CREATE_FAILED: something1234 banana"
    )


def test_without_the_values_everything_is_withheld() -> None:
    assert Masker([], knows_all=False).text("anything") == WITHHELD
    assert Masker([], knows_all=False).text("") == ""


@given(st.text(min_size=MIN_LENGTH, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_is_in_a_masked_text(value: str, before: str, after: str) -> None:
    masked = Masker([value]).text(before + value + after)

    value = value.strip()
    if masked != WITHHELD and len(value) >= MIN_LENGTH and value not in "****":
        assert value not in masked.replace("****", "\0")


def test_masking_takes_time_in_proportion_to_the_text() -> None:
    masker = Masker([f"secret-{n}-" + "x" * 4000 for n in range(20)])
    began = time.process_time()

    masker.text(("secret-1-" + "x" * 3999 + "y") * 20)

    assert time.process_time() - began < 1


# --- identities -----------------------------------------------------------------------------

DENIED = (
    "Resource handler returned message: User: arn:aws:sts::123456789012:assumed-role/"
    "slipway-EnvironmentRole-1ABCDEF/AWSCloudFormation is not authorized to perform: "
    "sqs:createqueue on resource: arn:aws:sqs:eu-central-1:123456789012:slipway-env-x-Jobs because "
    "no permissions boundary allows the sqs:createqueue action"
)


def test_a_denied_action_is_told_without_the_role_and_the_account() -> None:
    told = without_identities(DENIED)

    assert told.startswith("Resource handler returned message: The role is not authorized to")
    assert "sqs:createqueue on resource: arn:aws:sqs:eu-central-1:****:slipway-env-x-Jobs" in told
    for hidden in ("123456789012", "EnvironmentRole", "AWSCloudFormation", "assumed-role"):
        assert hidden not in told


@pytest.mark.parametrize(
    "said,told",
    [
        (
            "with an explicit deny in arn:aws:iam::123456789012:policy/slipway-Boundary-1",
            "with an explicit deny in a role or policy of the platform",
        ),
        (
            "on resource: arn:aws:iam::123456789012:role/slipway-env-x-Role",
            "on resource: arn:aws:iam::****:role/slipway-env-x-Role",
        ),
        ("arn:aws-cn:sqs:cn-north-1:123456789012:q", "arn:aws-cn:sqs:cn-north-1:****:q"),
        ("takes 123456789012 seconds", "takes 123456789012 seconds"),
    ],
)
def test_identities_of_the_platform_are_left_out(said: str, told: str) -> None:
    assert without_identities(said) == told
