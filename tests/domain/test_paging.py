"""A cursor leads to the next page, and any other text is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.domain.paging import Page, Paging
from slipway.errors import Invalid


@given(st.text(min_size=1, max_size=60))
def test_a_cursor_leads_to_where_the_page_ended(last: str) -> None:
    page = Page([1, 2], last)

    assert page == [1, 2]
    assert page.cursor
    assert Paging.model_construct(cursor=page.cursor).after == last


def test_the_last_page_has_no_cursor() -> None:
    assert Page([1], None).cursor is None
    assert Paging.model_validate({}).after is None


def test_a_cursor_needs_no_escaping_in_a_url() -> None:
    cursor = Page([], "PROJECT#?>~ÿ").cursor

    assert cursor
    assert cursor.replace("-", "").replace("_", "").isalnum()


BAD_CURSORS = {
    "not base64": "a",
    "not text": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "another script": "курсор",
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS.keys())
def test_a_malformed_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        _ = Paging.model_validate({"cursor": cursor}).after

    assert refused.value.fields[0].pointer == "?cursor"


@given(st.text(max_size=200))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        after = Paging.model_construct(cursor=text).after
    except Invalid:
        return
    assert isinstance(after, str)


@pytest.mark.parametrize("limit", ["1", "20", "100"])
def test_a_page_has_1_to_100_items(limit: str) -> None:
    assert Paging.model_validate({"limit": limit}).limit == int(limit)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "ten", "", "NaN", "1e1", "9" * 5000])
def test_another_number_of_items_is_refused(limit: str) -> None:
    with pytest.raises(ValidationError):
        Paging.model_validate({"limit": limit})
