"""Secrets of an environment, a project or a tier. Values are read from standard input."""

from __future__ import annotations

import sys
from typing import Any

import typer

from slipway_cli.asking import Session
from slipway_cli.client import quoted
from slipway_cli.failures import WrongUsage
from slipway_cli.levels import APPLY, OF_PROJECT, TIER, changed, level_path
from slipway_cli.waiting import TIMEOUT, WAIT

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, set and unset secrets.",
)
_COLUMNS = {
    "Name": "name",
    "Version": "version",
    "From": "source",
    "Copied from": "from",
    "Changed": "updated_at:age",
    "By": "updated_by.name",
}


@app.command("list", epilog="Example: slipway secrets list --env staging")
def list_(ctx: typer.Context, of_project: bool = OF_PROJECT, tier: str | None = TIER) -> None:
    """List the secrets that are valid there, without their values."""
    session: Session = ctx.obj
    path, query = level_path(session, of_project, tier)
    session.out.items(session.client.all(f"{path}/secrets", None, limit=None, **query), _COLUMNS)


@app.command("set", epilog="Example: slipway secrets set DATABASE_PASSWORD --env staging < file")
def set_(
    ctx: typer.Context,
    name: str,
    from_: str | None = typer.Option(
        None, "--from", help="Copy it from this parameter or secret of AWS."
    ),
    of_project: bool = OF_PROJECT,
    tier: str | None = TIER,
    apply: bool = APPLY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Set a secret to the text on standard input, or to what you type on a terminal.

    One newline at the end of the input is left out. The value is never an argument, because
    other users of the machine can see arguments.
    """
    session: Session = ctx.obj
    path, query = level_path(session, of_project, tier)
    body = {"from": from_} if from_ else {"value": _value(name)}

    def send(more: dict[str, Any]) -> Any:
        where = f"{path}/secrets/{quoted(name)}"
        return session.client.ask("PUT", where, body, query={**query, **more}).body

    return changed(session, send, apply, wait, timeout)


@app.command(epilog="Example: slipway secrets unset OLD_PASSWORD --env staging --yes")
def unset(
    ctx: typer.Context,
    name: str,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    of_project: bool = OF_PROJECT,
    tier: str | None = TIER,
    apply: bool = APPLY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Remove a secret from the level."""
    session: Session = ctx.obj
    path, query = level_path(session, of_project, tier)
    session.confirmed(f"Remove the secret {name}?", yes=yes)

    def send(more: dict[str, Any]) -> Any:
        where = f"{path}/secrets/{quoted(name)}"
        return session.client.ask("DELETE", where, query={**query, **more}).body or {}

    return changed(session, send, apply, wait, timeout)


def _value(name: str) -> str:
    """The secret's value. Raises WrongUsage if there is none."""
    if sys.stdin.isatty():
        value = str(typer.prompt(f"Value of {name}", hide_input=True, err=True))
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not value:
        raise WrongUsage(
            f"{name} has no value: standard input is empty.",
            hint=f"slipway secrets set {name} < file",
        )
    return value
