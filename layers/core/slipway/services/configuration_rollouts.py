"""Deployments of a changed configuration: what is live, with the configuration that is new.

What is live is decided when the deployment begins (slipway.services.rollouts), because others may
be ahead of it. It never replaces one that waits: that one brings the new configuration, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.domain.deployment import BROUGHT
from slipway.errors import NothingLive
from slipway.services import rollout_queue
from slipway.services.rollout_queue import View
from slipway.services.rollout_queue import claim_for as claim_for
from slipway.store import queue_records

if TYPE_CHECKING:
    from slipway.access.principal import Principal
    from slipway.domain.deployment import Deployment
    from slipway.domain.environment import OnConflict
    from slipway.domain.ids import EnvironmentId
    from slipway.domain.records import EnvironmentRecord
    from slipway.services.quotas import Claim
    from slipway.store.table import Fields, Transaction


def draft(
    environment: EnvironmentId, record: EnvironmentRecord, principal: Principal, claim: Claim
) -> tuple[Deployment, Transaction]:
    """The deployment of what is live with the next configuration, and what accepts it.

    `record` is the environment's; `claim` is `claim_for` the principal and has seen what its
    queries found. The caller merges the part `environment`, the update of the environment's record,
    into its own (slipway.store.actions.both), and commits all parts together. If that fails, it
    reads again: its slot may be taken, or the queue have changed. No round trip, one if the
    environment rejects. Raises NothingLive, EnvironmentNotReady, QueueBusy, QuotaExceeded.
    """
    content = _content(record)
    # It waits for those ahead of it, as an update does, unless the environment rejects.
    mode: OnConflict = "reject" if record["on_conflict"] == "reject" else "queue"
    ahead = queue_records.read_in_order(environment) if mode == "reject" else None
    view = View(record, ahead, claim)
    return rollout_queue.draft(environment, content, mode, principal, view)


def _content(record: EnvironmentRecord) -> Fields:
    """The fields of the deployment's record that say what it brings. Raises NothingLive."""
    if version := record.get("live_version"):
        return {
            "kind": "release",
            "trigger": "configuration",
            "version": version,
            "artifact": record.get("live_artifact"),
            "allow_outdated": True,
        }
    # What is live of a template that takes no versions is the template itself.
    if record.get("template") and BROUGHT.isdisjoint(record.get("parameters", ())):
        return {
            "kind": "update",
            "trigger": "configuration",
            "inputs": "{}",
            "secret_inputs": [],
            "allow_outdated": True,
        }
    raise NothingLive()
