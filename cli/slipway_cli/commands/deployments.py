"""deploy, cancel and queue."""

from __future__ import annotations

from typing import Any

import typer

from slipway_cli.asking import API, Session, environment_names, pairs
from slipway_cli.client import quoted
from slipway_cli.following import DEPLOYMENT_ENDS
from slipway_cli.waiting import patience, shown

app = typer.Typer(rich_markup_mode=None, add_completion=False)
FIELDS = {
    "Id": "id",
    "Version": "version",
    "Status": "status",
    "Artifact": "artifact",
    "Failure": "failure.reason",
    "Superseded by": "superseded_by",
    "Created": "created_at",
    "Finished": "finished_at",
}
_COLUMNS = {
    "Version": "version",
    "Status": "status",
    "Age": "created_at:age",
    "By": "created_by.name",
    "Id": "id",
}


@app.command(epilog="Example: slipway deploy staging sha-1234567 --wait --timeout 10m")
def deploy(
    ctx: typer.Context,
    env: str = typer.Argument(
        help="The environment's name or id.", autocompletion=environment_names
    ),
    version: str = typer.Argument(help="A git SHA, a tag or an image reference."),
    artifact: str | None = typer.Option(None, help="s3://bucket/key or an image reference."),
    on_conflict: str | None = typer.Option(
        None, help="queue, supersede, cancel_running or reject."
    ),
    sequence: int | None = typer.Option(None, help="Orders versions: the number of a run."),
    label: list[str] = typer.Option([], help="KEY=VALUE; can be repeated."),
    wait: bool = typer.Option(False, "--wait", help="Wait for the end."),
    timeout: str | None = typer.Option(None, help="How long to wait: 30, 30s, 5m."),
) -> int:
    """Deploy a version. With --wait, the exit code is that of the final state."""
    session: Session = ctx.obj
    optional = {"artifact": artifact, "on_conflict": on_conflict, "sequence": sequence}
    body: dict[str, Any] = {key: value for key, value in optional.items() if value is not None}
    if label:
        body["labels"] = pairs(label, "--label")
    limit = patience(wait, timeout)
    path = f"{API}/deployments/environments/{quoted(session.environment_id(env))}"
    made = session.client.ask("POST", path, {"version": version, **body}).body
    return shown(session, "deployments", made, DEPLOYMENT_ENDS, FIELDS, limit)


@app.command(epilog="Example: slipway cancel dep_…")
def cancel(
    ctx: typer.Context,
    deployment: str = typer.Argument(help="Its id."),
    wait: bool = typer.Option(False, "--wait", help="Wait until it has ended."),
    timeout: str | None = typer.Option(None, help="How long to wait: 30, 30s, 5m."),
) -> int:
    """Cancel a deployment. With --wait, 0 says that it is canceled."""
    session: Session = ctx.obj
    limit = patience(wait, timeout)
    path = f"{API}/deployments/{quoted(deployment)}/cancel"
    going = session.client.ask("POST", path).body
    ends = {status: status == "canceled" for status in DEPLOYMENT_ENDS}
    return shown(session, "deployments", going, ends, FIELDS, limit)


@app.command(epilog="Example: slipway queue staging")
def queue(
    ctx: typer.Context,
    env: str | None = typer.Argument(
        None, help="Its name or id.", autocompletion=environment_names
    ),
) -> None:
    """List the deployments of an environment that run or wait."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/queue"
    session.out.items(session.client.all(path), _COLUMNS)
