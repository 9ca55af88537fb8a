"""DynamoDB's JSON, and which of its values a state machine can take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.store import environment_records
from slipway.store.wire import decode, encode, encode_for_sdk

_VALUES = st.recursive(
    st.booleans() | st.integers() | st.text() | st.sets(st.text(), min_size=1) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def kinds(value: Any) -> Iterator[str]:
    [(kind, inner)] = value.items()
    yield kind
    for each in inner.values() if kind == "M" else inner if kind == "L" else ():
        yield from kinds(each)


@given(_VALUES)
def test_a_value_for_an_sdk_integration_has_only_kinds_that_it_knows(value: Any) -> None:
    try:
        encoded = encode_for_sdk(value)
    except TypeError as error:
        assert str(error).startswith("No SDK integration takes ")
    else:
        assert set(kinds(encoded)) <= {"S", "N", "M", "L"}
        assert encode({"it": value})["it"] == encoded


@pytest.mark.parametrize("value", [None, True, b"a", {"a"}, [None], {"a": [{"b": False}]}])
def test_a_value_that_no_sdk_integration_takes_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="No SDK integration takes"):
        encode_for_sdk(value)


@given(
    st.fixed_dictionaries(
        {"version": st.text(min_size=1)},
        optional={
            "artifact": st.text(),
            "order": st.integers() | st.text() | st.none(),
            "made_by": st.fixed_dictionaries({"type": st.text(), "id": st.text()}),
            "configuration": st.integers(0),
        },
    ),
    st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.text() | st.none()),
)
def test_each_field_is_either_set_or_removed(
    deployment: Any, changed: dict[str, str | None]
) -> None:
    record = environment_records.after_rollout(deployment, changed)

    fields = {f"live_{name}": deployment.get(name) for name in ("version", "artifact", "order")}
    if fields["live_order"] is None:
        del fields["live_order"]  # The order of the version before stays.
    asked = {"live_by": deployment.get("made_by")}
    if "configuration" in deployment:  # Otherwise the one before stays.
        asked["live_configuration"] = deployment["configuration"]
    assert decode(record["set"]) | dict.fromkeys(record["remove"]) == fields | changed | asked
    assert not set(record["set"]) & set(record["remove"])
    assert json.loads(json.dumps(record)) == record
