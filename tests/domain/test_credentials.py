"""Credentials as text: secret scanners recognise them, and errors in them are found at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway.domain import credentials, ids
from slipway.domain.credentials import API_TOKEN, REFRESH_TOKEN, Credential

LENGTHS = {API_TOKEN: 32, REFRESH_TOKEN: 64}


def one(kind: str = API_TOKEN) -> Credential:
    return Credential(
        kind, ids.new_user_id(), ids.new_part(), credentials.new_secret(LENGTHS[kind])
    )


@pytest.mark.parametrize("kind", LENGTHS)
def test_a_credential_says_what_it_was_made_of(kind: str) -> None:
    made = one(kind)

    assert credentials.parse(made.text, kind) == made
    assert re.fullmatch(credentials.PATTERN, made.text)


def test_the_checksum_is_the_crc_32_in_base62() -> None:
    # The value by which implementations of CRC-32 are checked.
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    found = 0
    for digit in credentials.checksum("123456789"):
        found = 62 * found + digits.index(digit)

    assert found == 0xCBF43926
    assert credentials.checksum("") == "000000"


def test_a_secret_has_at_least_160_random_bits() -> None:
    made = [credentials.new_secret() for _ in range(200)]

    assert 62 ** len(made[0]) > 2**160
    assert len(set(made)) == 200
    assert len(set("".join(made))) == 62


@pytest.mark.parametrize("at", range(4, 83))
def test_every_changed_letter_is_found(at: int) -> None:
    text = one().text
    changed = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]

    assert credentials.parse(changed, API_TOKEN) is None


def test_the_documented_expression_finds_a_token_in_a_text() -> None:
    page = (Path(__file__).parents[2] / "docs/tokens.md").read_text()
    [documented] = re.findall(r"^    (\S*slw_\S+)$", page, re.MULTILINE)
    made = [one(API_TOKEN).text, one(REFRESH_TOKEN).text]

    found = re.findall(documented, f"TOKEN={made[0]}\nrefresh: '{made[1]}', slw_1, slw_{'a' * 30}")

    assert found == made
    assert documented == credentials.PATTERN


def test_a_text_keeps_the_name_of_a_credential_without_its_secret() -> None:
    made = one()
    body = made.text[:44]

    for text in (made.text, made.text[:-7], made.text[:60]):
        assert credentials.without_secrets(f"GET /tokens/{text}/x") == f"GET /tokens/{body}****/x"
    assert credentials.without_secrets("a slw_ and a slr_0 are no secrets") == (
        "a slw_ and a slr_0 are no secrets"
    )
