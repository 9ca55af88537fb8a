"""What a teardown could not delete, as text."""

from __future__ import annotations

import pytest

from slipway.domain import blockers

DATA = "Data (AWS::S3::Bucket, slipway-env-1)"
MADE = "Made (Custom::Thing, arn:aws:x:1:2:thing/a)"


@pytest.mark.parametrize("named", [DATA, MADE])
@pytest.mark.parametrize("why", ["", "No", "It (a): says (b): this"])
def test_an_entry_has_a_resource_its_name_and_perhaps_a_reason(named: str, why: str) -> None:
    found = blockers.parse(f"stack: {named}: {why}" if why else f"stack: {named}")

    assert found == ("stack", named, why)
    assert found.logical_id == named[:4]


@pytest.mark.parametrize("text", ["", "stack", "stack: ", "a: b: c", "): ", ": (", "stack: A (b"])
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(blockers.parse(text).logical_id, str)


def test_what_remains_is_named_in_detail_where_that_is_known() -> None:
    remains = {f"stack: {DATA}: Not empty", f"stack: {MADE}", f"gone: {DATA}"}

    assert blockers.named({"stack", "database"}, remains) == [DATA, MADE, "database"]
    assert blockers.named({"database"}, set()) == ["database"]
