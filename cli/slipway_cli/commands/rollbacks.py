"""rollback and promote."""

from __future__ import annotations

from typing import Any

import typer

from slipway_cli.asking import API, Session, environment_names
from slipway_cli.client import quoted
from slipway_cli.commands.deployments import FIELDS
from slipway_cli.following import DEPLOYMENT_ENDS, PROMOTION_ENDS
from slipway_cli.waiting import TIMEOUT, WAIT, patience, shown

app = typer.Typer(rich_markup_mode=None, add_completion=False)
PROMOTED = {
    "Id": "id",
    "Status": "status",
    "Version": "version",
    "Template": "template",
    "From": "from.environment_name",
    "Reason": "reason",
    "Created": "created_at",
    "Finished": "finished_at",
}
_TARGETS = {
    "Environment": "environment_name",
    "Status": "status",
    "Reason": "reason",
    "Id": "deployment_id",
}
_SOURCE = typer.Argument(
    metavar="FROM",
    help="The environment whose live version is promoted.",
    autocompletion=environment_names,
)
_TO = typer.Option(help="Who gets it; can be repeated.", autocompletion=environment_names)
_OUTDATED = typer.Option(False, "--allow-outdated", help="Also where a newer version is live.")
_CONFLICT = typer.Option(None, help="queue, supersede, cancel_running or reject.")
_DRY = typer.Option(False, "--dry-run", help="Show what would change, and change nothing.")


@app.command(epilog="Example: slipway rollback production --reason 'checkout answers 500' --wait")
def rollback(
    ctx: typer.Context,
    env: str | None = typer.Argument(
        None, help="Its name or id.", autocompletion=environment_names
    ),
    reason: str = typer.Option(help="Why, for those who find it held."),
    to: str | None = typer.Option(None, help="A deployment that was live; the last if omitted."),
    confirm: str | None = typer.Option(None, help="Its name, if it is protected."),
    dry_run: bool = _DRY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Go back to what was live before, ahead of all that waits, and hold machines off."""
    session: Session = ctx.obj
    limit = patience(wait, timeout)
    body = {"reason": reason, **({"to": to} if to else {})}
    path = f"{session.environment_path(env)}/rollback"
    headers = {"X-Confirm": confirm} if confirm else None
    made = session.client.ask(
        "POST", path, body, query={"dry_run": dry_run or None}, headers=headers
    ).body
    if dry_run:
        session.out.json(made)
        return 0
    fields = {**FIELDS, "Rolls back to": "rolls_back_to", "Reason": "reason"}
    return shown(session, "deployments", made, DEPLOYMENT_ENDS, fields, limit)


@app.command(epilog="Example: slipway promote staging --to production --wait")
def promote(
    ctx: typer.Context,
    source: str = _SOURCE,
    to: list[str] = _TO,
    reason: str | None = typer.Option(None, help="Why, for people."),
    keep_template: bool = typer.Option(False, "--keep-template", help="Only the version."),
    allow_outdated: bool = _OUTDATED,
    on_conflict: str | None = _CONFLICT,
    confirm: list[str] = typer.Option([], help="The name of a protected target."),
    dry_run: bool = _DRY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Promote what is live in an environment to others. With --wait, 0 says that all have it."""
    session: Session = ctx.obj
    limit = patience(wait, timeout)
    body: dict[str, Any] = {
        "from": session.environment_id(source),
        "to": [session.environment_id(each) for each in to],
    }
    optional = {"reason": reason, "on_conflict": on_conflict}
    body |= {name: value for name, value in optional.items() if value is not None}
    if keep_template:
        body["template"] = False
    if allow_outdated:
        body["allow_outdated"] = True
    made = session.client.ask(
        "POST",
        f"{API}/promotions",
        body,
        query={"dry_run": dry_run or None},
        headers={"X-Confirm": ",".join(confirm)} if confirm else None,
    ).body
    if dry_run:
        session.out.json(made)
        return 0
    code = shown(session, "promotions", made, PROMOTION_ENDS, PROMOTED, limit)
    if limit is not False and "targets" in made:
        _show_targets(session, str(made["id"]))
    return code


def _show_targets(session: Session, promotion: str) -> None:
    """The outcome of each target, for people."""
    if not session.out.as_json and not session.out.quiet:
        ended = session.client.get(f"{API}/promotions/{quoted(promotion)}")
        session.out.items(ended.get("targets") or [], _TARGETS)
