"""The queue of an environment's deployments, as the API shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.deployment import Deployment
from slipway.domain.ids import EnvironmentId
from slipway.store import deployment_records, queue_records, table
from slipway.store.table import Query

if TYPE_CHECKING:
    from slipway.domain.records import DeploymentRecord

# As many of the newest deployments as usually hold the whole queue.
_LIKELY = 20


def list_(environment: EnvironmentId, principal: Principal) -> list[Deployment]:
    """The deployment that runs, then those that wait, in order; at most 100.

    Raises NotFound. One round trip, two if the queue reaches further back than the newest.
    """
    newest_first = Query(
        f"ENV#{environment.e}", deployment_records.PREFIX, _LIKELY, newest_first=True
    )
    keys = (*authorization.keys(environment, principal), queue_records.lock(environment))
    (*found, held), [(places, _), (newest, _)] = table.read(
        keys, queue_records.first_places(environment), newest_first
    )
    authorization.authorized(environment, principal, found)
    ahead = [held["holder"]] if held and held.get("holder") else []
    ahead += [place["deployment_id"] for place in places]
    # The newest ones are included, in case one of them acquired the lock between the reads.
    items = {item["id"]: item for item in newest}
    missing = [each for each in ahead[: queue_records.PAGE] if each not in items]
    keys_of_missing = (deployment_records.key(ids.parse_deployment(each)) for each in missing)
    items |= {item["id"]: item for item in table.get(*keys_of_missing) if item}
    unfinished = [item for item in items.values() if not item.get("finished_at")]
    unfinished.sort(key=_turn)
    return [deployment_records.to_model(each) for each in unfinished[: queue_records.PAGE]]


def _turn(item: DeploymentRecord) -> tuple[bool, bool, str]:
    """What sorts the deployment that runs ahead of those that wait."""
    return item.get("token") is None, not item.get("urgent"), item["id"]
