"""The index `listed`: a project's environments that are not destroyed, and its deployments.

A record is in a list while it has the fields `listed` and `listed_at`, which is the last part of
its id, so a list is sorted by age. The transaction that destroys an environment removes them. The
index is eventually consistent: it lags behind the table, mostly by less than a second, so only
lists that people read use it (docs/decisions/0032). slipway.store.list_queries has the queries.
"""

from __future__ import annotations

from typing import Any

from slipway.domain.ids import DeploymentId, EnvironmentId

INDEX = "listed"
LIVE = "LIVE#"
DEPLOYMENTS = "DEPLOYMENTS#"
# The fields of a record that leaves its list.
NOT_LISTED = {"listed": None, "listed_at": None}


def environment_fields(environment: EnvironmentId) -> dict[str, Any]:
    """The fields that put an environment into the list of its project's live ones."""
    return {"listed": LIVE + environment.p, "listed_at": environment.e}


def deployment_fields(deployment: DeploymentId) -> dict[str, Any]:
    """The fields that put a deployment into the list of its project's deployments."""
    return {"listed": DEPLOYMENTS + deployment.p, "listed_at": deployment.d}
