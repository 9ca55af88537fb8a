"""The base classes and field types of requests and responses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

_STRICT = ConfigDict(
    extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True
)


class RequestModel(BaseModel):
    """The body of a request, or a part of it. Unknown fields, NaN and infinities are refused."""

    model_config = _STRICT
    # How many fields it can have as a form.
    most_pairs: ClassVar[int] = 50

    @classmethod
    def of_text(cls, text: str) -> Mapping[str, str]:
        """The fields that a body of plain text has. Raises Malformed, Invalid."""
        raise NotImplementedError(f"{cls.__name__} is not sent as text")


class QueryModel(BaseModel):
    """The query string of a request. Unknown fields are refused."""

    model_config = _STRICT
    # The fields that can be given more than once; their values are lists.
    repeatable: ClassVar[frozenset[str]] = frozenset()

    @property
    def is_dry_run(self) -> bool:
        """Whether the request changes nothing. Then its response is never replayed."""
        return False


class ResponseModel(BaseModel):
    """A response, or a part of it. The fields of a record that the model lacks are not shown."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, serialize_by_alias=True
    )

    @property
    def location(self) -> str:
        """The path of the object. Each model that a route creates has one."""
        raise NotImplementedError(f"{type(self).__name__} has no path of its own")

    @property
    def is_final(self) -> bool:
        """Whether the object never changes any more."""
        return False

    def may_become(self, goal: str) -> bool:
        """Whether the object is not what the goal names, as `wait_for` in a query, but can be."""
        raise NotImplementedError(f"Nobody waits for {type(self).__name__}")

    def with_absolute_urls(self, base: str) -> Self:
        """A copy with absolute URLs, which begin with `base` (`https://host`)."""
        return self


CONTROL = "must not contain control characters"
INVISIBLE = "must not contain invisible characters, or those that change the order of text"

_JOINER, _NON_JOINER, _EMOJI_STYLE, _KEY = "\u200d", "\u200c", "\ufe0f", "\u20e3"
# The combining class of the signs after which scripts of India have joiners.
_VIRAMA = 9
# Arabic letters that are never joined to the next one, so that nothing separates them visibly.
_NEVER_JOINED = frozenset("ءآأؤإاةدذرزوىژ")
# Letters, marks and symbols that are blank: fillers, selectors, the joiner of graphemes, Braille's.
_BLANK = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def is_writable(text: str) -> bool:
    """Whether XML 1.0, which AWS uses to send it, can represent all of its characters."""
    return not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text)


def printable(text: str) -> str:
    """Returns the text. Raises ValueError if a person cannot see every character of it."""
    if not is_writable(text) or any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError(CONTROL)
    if not is_visible(text):
        raise ValueError(INVISIBLE)
    return text


def is_visible(text: str) -> bool:
    """Whether a person sees every character of the text, in the order in which it is stored.

    Joiners and variation selectors are allowed where they change what is seen: in emoji, and in
    scripts that need them. Control characters of ASCII are not looked for.
    """
    if text.isascii():
        return True
    return all(
        letter.isascii() or _is_seen(letter) or _joins(text, at) for at, letter in enumerate(text)
    )


def _is_seen(letter: str) -> bool:
    # Formats, surrogates, private use and no characters; separators of lines and paragraphs.
    if unicodedata.category(letter) in ("Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return False
    return not re.match(_BLANK, letter)


def _joins(text: str, at: int) -> bool:
    """Whether the joiner or selector at this place changes what is seen."""
    letter, before, after = text[at], text[max(at - 1, 0) : at], text[at + 1 : at + 2]
    if not before:
        return False
    if letter == _EMOJI_STYLE:
        return unicodedata.category(before) == "So" or (before in "0123456789#*" and after == _KEY)
    if letter == _JOINER and after and unicodedata.category(after) == "So":
        return before == _EMOJI_STYLE or unicodedata.category(before) in ("So", "Sk")
    if letter in (_JOINER, _NON_JOINER) and unicodedata.combining(before) == _VIRAMA:
        return True
    both_arabic = after and {*map(unicodedata.bidirectional, before + after)} == {"AL"}
    return bool(letter == _NON_JOINER and both_arabic and before not in _NEVER_JOINED)


def _text(text: str) -> str:
    return printable(text.replace("\n", " ").replace("\t", " ")) and text


def without_references(text: str) -> str:
    """The same text. CloudFormation would resolve a dynamic reference in a template's parameter,
    with permissions that the caller does not have."""
    if "{{" in text or text.endswith("{"):
        raise ValueError("must not contain {{ or end with {")
    return text


def _comparable(name: str) -> str:
    # A sort key has at most 1024 bytes, and normalisation expands U+FDFA to 18 letters.
    if len(normalised(name).encode()) > 1000:
        raise ValueError("is too long after Unicode normalisation")
    return name


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=63),
    AfterValidator(printable),
    AfterValidator(_comparable),
    AfterValidator(without_references),
]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(printable),
]
Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_text)]


def _a_millisecond(hours: float) -> float:
    # Times have millisecond precision, and the table holds no number below 1e-130.
    if hours * 3_600_000 < 1:
        raise ValueError("must be at least a millisecond")
    return hours


Hours = Annotated[float, Field(gt=0), AfterValidator(_a_millisecond)]
# No lease is longer than a year.
HoursBefore = Annotated[float, Field(gt=0, le=8760), AfterValidator(_a_millisecond)]


def matching(pattern: str, what: str) -> AfterValidator:
    """The whole text must match. The error says `what` it should be, not the pattern."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {what}")
        return text

    return AfterValidator(check)


LogicalId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    matching(r"[A-Za-z0-9]+", "made of letters and digits"),
]


def external_id_fault(text: str) -> str:
    """What keeps the text from being an external id; "" if nothing does.

    Branch names are external ids. A part that is `.`, `..` or empty is not, because clients and
    proxies leave such parts of a path out, and a trailing slash does not count.
    """
    # A sort key has at most 1024 bytes.
    if not 0 < len(text) <= _LONGEST_EXTERNAL_ID or len(text.encode()) > 1000:
        return f"must have 1 to {_LONGEST_EXTERNAL_ID} characters, and at most 1000 bytes"
    if text != text.strip():
        return "must not begin or end with a space"
    if {"", ".", ".."} & {*text.split("/")}:
        return "must not have a part between slashes that is empty, . or .."
    # What is not UTF-8 comes as this character.
    if "\ufffd" in text:
        return "must be UTF-8"
    try:
        printable(text)
    except ValueError as error:
        return str(error)
    return ""


def _external_id(text: str) -> str:
    if fault := external_id_fault(text):
        raise ValueError(fault)
    return text


_LONGEST_EXTERNAL_ID = 255
ExternalId = Annotated[str, AfterValidator(_external_id)]
RepoUrl = Annotated[
    str,
    StringConstraints(max_length=2048),
    AfterValidator(printable),
    matching(
        r"(https?|ssh|git)://[^\s/?#]+\S*|[\w.-]+@[\w.-]+:\S+",
        "a URL like https://host/path or git@host:path",
    ),
]


def normalised(name: str) -> str:
    """The form in which names are unique: `Payments` and `payments` are one name."""
    return unicodedata.normalize("NFKC", name).casefold()


def slug(name: str) -> str:
    """The name as a part of a host name, at most 30 characters."""
    return re.sub(r"[^a-z0-9]+", "-", normalised(name))[:30].strip("-") or "env"
