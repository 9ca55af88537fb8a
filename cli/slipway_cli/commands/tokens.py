"""Tokens for programs."""

from __future__ import annotations

from typing import Any

import typer

from slipway_cli.asking import API, Session
from slipway_cli.client import quoted

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, create and revoke tokens for programs.",
)
_COLUMNS = {
    "Name": "name",
    "Kind": "kind",
    "Scopes": "scopes",
    "Left": "expires_at:left",
    "Used": "last_used_at",
    "Id": "id",
}


@app.command("list", epilog="Example: slipway tokens list")
def list_(ctx: typer.Context) -> None:
    """List your tokens, newest first."""
    session: Session = ctx.obj
    session.out.items(session.client.all(f"{API}/auth/tokens"), _COLUMNS)


@app.command(
    epilog="Example: slipway tokens create deploy-from-ci --kind ci --scope read --scope deploy"
)
def create(
    ctx: typer.Context,
    name: str,
    kind: str = typer.Option("ci", help="personal, ci or agent."),
    scope: list[str] = typer.Option(
        help="read, deploy, environments, destroy, templates, config, members or tokens."
    ),
    only_project: list[str] = typer.Option([], help="Only for this project; can be repeated."),
    tier: list[str] = typer.Option([], help="Only for this tier; can be repeated."),
    days: int = typer.Option(90, min=1, help="How many days it is valid."),
) -> None:
    """Create a token, and print it. It is shown only once."""
    session: Session = ctx.obj
    body: dict[str, Any] = {"name": name, "kind": kind, "scopes": scope, "expires_in_days": days}
    if only_project:
        paths = [session.project_path(each) for each in only_project]
        body["project_ids"] = [session.client.get(path)["id"] for path in paths]
    if tier:
        body["tiers"] = tier
    made = session.client.ask("POST", f"{API}/auth/tokens", body).body
    if session.out.quiet:
        print(made["token"])
        return
    fields = {"Token": "token", "Id": "id", "Scopes": "scopes"}  # nosec B105
    fields["Expires"] = "expires_at"
    session.out.item(made, fields)


@app.command(epilog="Example: slipway tokens revoke tok_…")
def revoke(ctx: typer.Context, token: str = typer.Argument(help="Its id.")) -> None:
    """Revoke a token: its next request is refused."""
    session: Session = ctx.obj
    session.client.ask("DELETE", f"{API}/auth/tokens/{quoted(token)}")
    session.out.done(f"{token} is revoked.", {"id": token})
