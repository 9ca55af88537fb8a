"""The hold that a rollback puts on an environment."""

from __future__ import annotations

import typer

from slipway_cli.asking import Session, environment_names
from slipway_cli.commands.envs import FIELDS

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Show and release the hold of a rollback.",
)
_ENV = typer.Argument(None, help="Its name or id.", autocompletion=environment_names)
_HOLD = {
    "Environment": "name",
    "Held since": "hold.at",
    "By": "hold.by.name",
    "Reason": "hold.reason",
    "Rollback": "hold.deployment_id",
}


@app.command(epilog="Example: slipway hold show production")
def show(ctx: typer.Context, env: str | None = _ENV) -> None:
    """Show why machines deploy nothing to an environment."""
    session: Session = ctx.obj
    found = session.environment(env)
    if not found.get("hold"):
        session.out.note(f"{found['name']} is not held.")
    session.out.item(found, _HOLD)


@app.command(epilog="Example: slipway hold release production")
def release(ctx: typer.Context, env: str | None = _ENV) -> None:
    """Release the hold: tokens and workloads deploy again, and what waited goes on."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/hold"
    found = session.client.ask("DELETE", path).body
    session.out.item(found or session.environment(env), FIELDS)
