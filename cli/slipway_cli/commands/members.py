"""Members of a project."""

from __future__ import annotations

from typing import Any

import typer

from slipway_cli.asking import Session
from slipway_cli.client import quoted
from slipway_cli.failures import Refused

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, add, change and remove members of a project.",
)
_COLUMNS = {
    "E-mail": "email",
    "Role": "role",
    "In tiers": "overrides",
    "Status": "status",
    "Id": "user_id",
}
_ROLE = typer.Option(help="viewer, deployer, maintainer or owner.")


@app.command("list", epilog="Example: slipway members list --project payments")
def list_(ctx: typer.Context) -> None:
    """List the members."""
    session: Session = ctx.obj
    session.out.items(_all(session), _COLUMNS)


@app.command(epilog="Example: slipway members add bob@example.com --role deployer")
def add(ctx: typer.Context, email: str, role: str = _ROLE) -> None:
    """Add a member, or invite somebody who has no account."""
    session: Session = ctx.obj
    path = f"{session.project_path()}/members"
    made = session.client.ask("POST", path, {"email": email, "role": role}).body
    session.out.item(made, {**_COLUMNS, "Link": "link"})


@app.command(epilog="Example: slipway members change bob@example.com --role maintainer")
def change(ctx: typer.Context, member: str, role: str = _ROLE) -> None:
    """Change a member's role."""
    session: Session = ctx.obj
    path = f"{session.project_path()}/members/{quoted(_id(session, member))}"
    session.out.item(session.client.ask("PATCH", path, {"role": role}).body, _COLUMNS)


@app.command(epilog="Example: slipway members remove bob@example.com --yes")
def remove(
    ctx: typer.Context,
    member: str = typer.Argument(help="The e-mail address or id."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Remove a member, or withdraw an invitation."""
    session: Session = ctx.obj
    identity = _id(session, member)
    session.confirmed(f"Remove {member}?", yes=yes)
    session.client.ask("DELETE", f"{session.project_path()}/members/{quoted(identity)}")
    session.out.done(f"{member} is removed.", {"id": identity})


def _all(session: Session) -> list[dict[str, Any]]:
    found = session.client.all(f"{session.project_path()}/members")
    return [{"id": each.get("user_id") or each.get("invitation_id"), **each} for each in found]


def _id(session: Session, member: str) -> str:
    """The member's id, by the address. Raises Refused if nobody has it."""
    if "@" not in member:
        return member
    for each in _all(session):
        if each["email"].lower() == member.lower():
            return str(each["id"])
    raise Refused(f"{member} is no member of the project.", hint="slipway members list")
