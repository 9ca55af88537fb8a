"""The level that a command about variables or secrets changes, and what takes effect of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from slipway_cli.asking import API, Session
from slipway_cli.client import quoted
from slipway_cli.failures import WrongUsage
from slipway_cli.following import DEPLOYMENT_ENDS
from slipway_cli.waiting import patience, wait_for

OF_PROJECT = typer.Option(False, "--of-project", help="Of the project, for all environments.")
TIER = typer.Option(None, "--tier", help="Of the project's preview, staging or production.")
APPLY = typer.Option(False, "--apply", help="Deploy the live version again, with the change.")
_DEPLOYED = {"Id": "id", "Status": "status", "Version": "version", "Failure": "failure.reason"}
_FIELDS = {
    "Name": "name",
    "Version": "version",
    "Configuration": "configuration",
    "Deployment": "deployment_id",
}


def level_path(session: Session, of_project: bool, tier: str | None) -> tuple[str, dict[str, Any]]:
    """The path of the level and its query. Raises WrongUsage, and as Session.environment."""
    if of_project and tier:
        raise WrongUsage("A level is the project's or a tier's: --of-project or --tier.")
    if of_project or tier:
        return session.project_path(), {"tier": tier} if tier else {}
    return f"{API}/environments/{quoted(session.environment_id())}", {}


def changed(
    session: Session,
    send: Callable[[dict[str, Any]], Mapping[str, Any]],
    apply: bool,
    wait: bool,
    timeout: str | None,
) -> int:
    """Send a change, and print what it has made; with `wait` the end of its deployment.

    Returns the exit code. Raises as Client.ask and wait_for.
    """
    if wait and not apply:
        raise WrongUsage("--wait waits for a deployment, which only --apply makes.")
    limit = patience(wait, timeout)
    made = send({"apply": "now"} if apply else {})
    identity = made.get("deployment_id")
    if limit is False or not identity:
        session.out.item({"id": made.get("configuration"), **made}, _FIELDS)
        if not apply:
            session.out.note("It takes effect with the next deployment, or at once with --apply.")
        return 0
    going = session.client.get(f"{API}/deployments/{quoted(str(identity))}")
    return wait_for(session, "deployments", going, DEPLOYMENT_ENDS, limit, _DEPLOYED)
