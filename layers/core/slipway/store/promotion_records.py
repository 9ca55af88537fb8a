"""Promotion records: what was promoted from where, and what came of it in each target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain.ids import ProjectId, PromotionId
from slipway.domain.promotion import Promotion, is_pinned, status_of
from slipway.store import deadlines, table
from slipway.store.table import Fields, Key, Put, Update

if TYPE_CHECKING:
    from slipway.domain.promotion_records import PromotionRecord

PREFIX = "PROMOTION#"


def key(promotion: PromotionId) -> Key:
    """The key of the promotion's record."""
    return Key(f"PROJECT#{promotion.p}", PREFIX + promotion.n)


def partition(project: ProjectId) -> str:
    """The partition key of the project's promotions, below PREFIX."""
    return f"PROJECT#{project.p}"


def find(promotion: PromotionId) -> PromotionRecord | None:
    """The record, without authorization: for the platform itself. One round trip."""
    [item] = table.get(key(promotion))
    return item if item and item["id"] == str(promotion) else None


def to_model(item: PromotionRecord | Mapping[str, Any]) -> Promotion:
    """The promotion as the API shows it."""
    shown = {
        **item,
        "from": item["source"],
        "status": status_of(each["status"] for each in item["targets"]),
        "pinned": is_pinned(item.get("artifact")),
    }
    return Promotion.model_validate(shown)


def put(promotion: PromotionId, item: Mapping[str, Any]) -> Put:
    """The write of a new promotion. Until it has ended, reconcile looks after it."""
    due = {} if item.get("finished_at") else deadlines.due_fields(str(promotion))
    return Put(key(promotion), {**item, **due})


def progress(item: PromotionRecord, fields: Fields) -> Update:
    """The write of what has come of it, unless it was written since it was read."""
    expression, values = table.setting({**fields, "revision": item["revision"] + 1})
    where = Key(f"PROJECT#{item['project_id'].removeprefix('prj_')}", _part(item))
    return Update(where, expression, {**values, "was": item["revision"]}, "revision = :was")


def _part(item: PromotionRecord) -> str:
    return PREFIX + item["id"].rpartition("_")[2]
