"""Versions of templates, and the standing of environments against them."""

from __future__ import annotations

import pytest

from slipway.domain.template import NewTemplate, Reference, Version, named, standing
from slipway.errors import Invalid, NotFound


def test_versions_are_in_order_by_number() -> None:
    texts = ["1.10", "2.0", "1.9", "0.1"]

    assert [str(v) for v in sorted(map(Version.parse, texts))] == ["0.1", "1.9", "1.10", "2.0"]


@pytest.mark.parametrize(
    "text", ["1", "1.", ".1", "1.2.3", "v1.2", "01.2", "1.02", "1.100000", "\u0661.\u0662", "1.2\n"]
)
def test_a_malformed_version_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        Version.parse(text)


@pytest.mark.parametrize("text", ["", "A", "a_b", "-a", "a-", "a" * 64, "a\n", "a/b", "ä"])
def test_a_malformed_name_is_not_found_and_not_accepted(text: str) -> None:
    with pytest.raises(NotFound):
        named(text)
    with pytest.raises(ValueError):
        NewTemplate(name=text)


def test_a_reference_names_a_version_a_major_or_the_newest() -> None:
    assert Reference.parse("web@1.2").version == Version(1, 2)
    assert Reference.parse("web@1") == ("web", 1, None)
    assert Reference.parse("web") == ("web", None, None)
    assert Reference.parse("web@0.0").version == Version(0, 0)


@pytest.mark.parametrize(
    "text", ["", "@1", "web@", "web@1.", "web@x", "web@1.2.3", "Web", "web @1"]
)
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        Reference.parse(text)

    assert [each.pointer for each in error.value.fields] == ["#/template"]


PUBLISHED = [Version(1, 0), Version(1, 2), Version(2, 0)]


@pytest.mark.parametrize(
    "used,status,published,expected",
    [
        ("2.0", "running", PUBLISHED, "up_to_date"),
        ("1.2", "running", PUBLISHED, "behind_major"),
        ("1.0", "running", PUBLISHED, "behind_major"),
        ("1.0", "running", PUBLISHED[:2], "behind_minor"),
        ("1.2", "running", PUBLISHED[:2], "up_to_date"),
        ("1.3", "running", PUBLISHED[:2], "up_to_date"),
        ("1.0", "running", [], "up_to_date"),
        ("1.0", "failed", PUBLISHED, "failed"),
        ("2.0", "teardown_failed", PUBLISHED, "failed"),
    ],
)
def test_the_standing_follows_the_published_versions(
    used: str, status: str, published: list[Version], expected: str
) -> None:
    assert standing(Version.parse(used), status, published) == expected
