"""Masks known secret values in a text, and what identifies the account in an error of AWS.

A value is masked wherever it appears, in any case, and also as it appears in URLs, JSON, XML and
base64. A value of fewer than four characters appears in ordinary words by chance. To mask it there
would show where it stands and so what it is. It only counts as a word of its own, and then the
whole text is withheld.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from slipway.domain.credentials import without_secrets
from slipway.domain.environment import MASK

WITHHELD = f"{MASK} (withheld, because it may contain a secret)"
# The shortest value that is masked in place.
MIN_LENGTH = 4
# A shorter piece of base64 appears by chance.
_MIN_BASE64 = 8
_PRINCIPAL = re.compile(r"User: \S+ is not authorized", re.IGNORECASE)
# Roles and policies of the account that an explanation names; not those that a template makes.
_IDENTITY = re.compile(r"arn:[\w-]+:(?:iam|sts)::[0-9]{12}:[^\s,;)\"']+")
# The table, functions and state machines, which an error of a workflow's own steps may name.
_PLATFORM = re.compile(r"arn:[\w-]+:(?:dynamodb|lambda|states):[\w-]*:[0-9]{12}:[^\s,;)\"']+")
_OF_ENVIRONMENTS = re.compile(r":\w+[/:][^/:]*-env-")
_ACCOUNT = re.compile(r"(?<=:)[0-9]{12}(?=:)")


class Masker:
    """Masks these values. `knows_all`: whether they are all that a text may contain.

    If they are not, every text is withheld. A text takes time in proportion to its length.
    """

    def __init__(self, values: Iterable[str], *, knows_all: bool = True) -> None:
        parts = {part for value in values for part in _parts(value)}
        self._knows_all = knows_all
        self._short = {each.lower() for each in parts if len(each) < MIN_LENGTH}
        forms = {form for each in parts if len(each) >= MIN_LENGTH for form in _forms(each)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def text(self, text: str) -> str:
        if not text:
            return text
        text = without_secrets(text)
        if not self._knows_all:
            return WITHHELD
        lower = text.lower()
        if any(each in lower and _is_word(each, lower) for each in self._short):
            return WITHHELD
        for form in self._forms:
            if form.lower() in lower:
                text = re.sub(re.escape(form), lambda _: MASK, text, flags=re.IGNORECASE)
                lower = text.lower()
        return self._without_beginning(text)

    def _without_beginning(self, text: str) -> str:
        """Without the beginning of a value where the text was cut off within it."""
        body = text.rstrip(".… ")
        for form in self._forms:
            for length in range(min(len(form) - 1, len(body)), 2 * MIN_LENGTH - 1, -1):
                if body.endswith(form[:length]):
                    return body[:-length] + MASK + text[len(body) :]
        return text


def _parts(value: str) -> Iterator[str]:
    """The value, and what a template or a message may take out of it: its entries and lines.

    Only those that are long enough to be masked in place.
    """
    whole = value.strip()
    if whole:
        yield whole
    for separated, least in ((whole.split(","), MIN_LENGTH), (whole.splitlines(), _MIN_BASE64)):
        yield from (part for each in separated if len(part := each.strip()) >= least)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield from (quote(value, safe=""), quote(value), quote_plus(value))
    for ascii_only in (True, False):
        in_json = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield from (in_json, json.dumps(in_json)[1:-1])
    yield from (html.escape(value), html.escape(value, quote=False))
    yield from _in_base64(value.encode("utf-8", "surrogatepass"))


def _in_base64(value: bytes) -> Iterator[str]:
    """The part of the value's base64 that is the same at every offset in the encoded text."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value).decode()
        first, last = -(-before * 8 // 6), (before + len(value)) * 8 // 6
        certain = encoded[first:last]
        if len(certain) >= _MIN_BASE64:
            yield certain
            yield certain.translate(str.maketrans("+/", "-_"))


def _is_word(value: str, text: str) -> bool:
    return re.search(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", text) is not None


def without_identities(text: str) -> str:
    """An explanation of AWS without the caller's role, its session, and account ids.

    The action and the resource stay: they tell the author of a template what is not allowed.
    """
    text = _PRINCIPAL.sub("The role is not authorized", text)
    text = _IDENTITY.sub(lambda found: _identity(found[0]), text)
    return _ACCOUNT.sub(MASK, text)


def without_platform(text: str) -> str:
    """A workflow's reports of its own steps, also without the platform's table and functions."""
    text = _PLATFORM.sub(
        lambda found: (
            found[0] if _OF_ENVIRONMENTS.search(found[0]) else "a resource of the platform"
        ),
        text,
    )
    return without_identities(text)


def _identity(arn: str) -> str:
    return arn if _OF_ENVIRONMENTS.search(arn) else "a role or policy of the platform"
