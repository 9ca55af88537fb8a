"""Promotions that were made: reading one, and listing those of a project.

A token that is limited to some environments sees the promotions whose source and targets are all
among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain.ids import ProjectId, PromotionId
from slipway.domain.paging import Page, Paging
from slipway.domain.promotion import Promotion
from slipway.errors import no_such
from slipway.store import promotion_records as records
from slipway.store import table

if TYPE_CHECKING:
    from slipway.domain.promotion_records import PromotionRecord

# For tokens of some environments.
_MOST_EXAMINED = 200


def get(promotion: PromotionId, principal: Principal) -> Promotion:
    """The promotion, and how far it is in each target; one round trip. Raises NotFound.

    The status of a target follows that of its deployment within about a second.
    """
    *found, item = table.get(
        *authorization.keys(promotion.project, principal), records.key(promotion)
    )
    if item is None or item["id"] != str(promotion):
        raise no_such("promotion")
    authorization.authorized(promotion.project, principal, found)
    if not _may_see(item, principal):
        raise no_such("promotion")
    return records.to_model(item)


def list_(project: ProjectId, principal: Principal, paging: Paging) -> Page[Promotion]:
    """A page of the project's promotions, newest first; one round trip.

    Raises NotFound, and Invalid for a cursor of another list.
    """
    query = table.listing(records.partition(project), records.PREFIX, paging)
    if not principal.is_session:
        # The grant is known once the page has been read.
        keep = lambda item: _may_see(item, principal)  # noqa: E731
        query = query._replace(limit=_MOST_EXAMINED, keep=keep)
    found, [(items, last)] = table.read(authorization.keys(project, principal), query)
    authorization.authorized(project, principal, found)
    return Page([records.to_model(item) for item in items], last)


def _may_see(item: PromotionRecord, principal: Principal) -> bool:
    grant = principal.grant
    if grant is None:
        return True
    return all(
        (grant.environment_ids is None or each["environment_id"] in grant.environment_ids)
        and (grant.tiers is None or each["tier"] in grant.tiers)
        for each in (item["source"], *item["targets"])
    )
