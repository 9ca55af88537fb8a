"""docs/retention.md has each kind of item once, and every key that the store lists."""

from __future__ import annotations

import re

import pytest

from slipway import store
from tests.support import lifetimes

# `| what | pk | sk |` of the store's table of keys, without its header.
ROWS = re.findall(r"^\| [^|]+ \| ([A-Z][^|]+) \| ([^|]+) \|$", store.__doc__ or "", re.MULTILINE)


def test_every_kind_has_one_row() -> None:
    keys = [(kind.pk, kind.sk) for kind in lifetimes.kinds()]

    assert len(keys) > 50
    assert sorted(keys) == sorted(set(keys))


@pytest.mark.parametrize(("pk", "sk"), ROWS, ids=lambda text: str(text).strip())
def test_every_key_of_the_store_has_a_lifetime(pk: str, sk: str) -> None:
    partitions, keys = (re.sub(r"<[^>]*>", "x", text).split(",") for text in (pk, sk))
    for one in partitions:
        for each in keys:
            item = {"pk": one.strip(), "sk": each.strip()}
            # Lists are keys of an index.
            assert lifetimes.of(item) or one.startswith(("LIVE#", "DEPLOYMENTS#")), item


def test_an_unknown_kind_is_noticed() -> None:
    known = {"pk": "ENV#01", "sk": "LOG#1", "ttl": 1}
    unknown = {"pk": "ENV#01", "sk": "SURPRISE"}

    assert list(lifetimes.faults([known])) == []
    told = "docs/retention.md has no kind for ENV#01 SURPRISE"
    assert list(lifetimes.faults([unknown])) == [told]
    assert list(lifetimes.faults([{"pk": "ENV#01", "sk": "LOG#1"}])) == ["ENV#01 LOG#1 has no ttl"]
