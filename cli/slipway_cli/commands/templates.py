"""Templates and their versions."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import typer

from slipway_cli.asking import API, Session
from slipway_cli.client import quoted
from slipway_cli.failures import Refused, WrongUsage

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, push, publish and compare templates.",
)
_VERSION_FIELDS = {
    "Template": "template",
    "Version": "version",
    "State": "state",
    "Parameters": "parameters_named",
    "SHA-256": "sha256",
}


@app.command("list", epilog="Example: slipway templates list")
def list_(
    ctx: typer.Context,
    template: str | None = typer.Argument(None, help="List the versions of this template."),
) -> None:
    """List templates, or the versions of one."""
    session: Session = ctx.obj
    if template is None:
        columns = {"Name": "name", "Description": "description", "By": "created_by.name"}
        return session.out.items(session.client.all(f"{API}/templates"), columns)
    columns = {"Version": "version", "State": "state", "Age": "created_at:age"}
    return session.out.items(session.client.all(f"{_path(template)}/versions"), columns)


@app.command(epilog="Example: slipway templates push web template.yaml --publish")
def push(
    ctx: typer.Context,
    template: str = typer.Argument(help="Its name; it is created if there is none."),
    file: Path = typer.Argument(help="The CloudFormation template, YAML or JSON."),
    publish: bool = typer.Option(False, "--publish", help="Publish the version at once."),
    major: int | None = typer.Option(None, help="The major version; the newest if omitted."),
) -> None:
    """Add a version: a draft, unless it is published."""
    session: Session = ctx.obj
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} cannot be read: {error}") from None
    try:
        session.client.ask("POST", f"{API}/templates", {"name": template})
    except Refused as refused:
        if refused.code not in ("name_taken", "template_exists"):
            raise
    media = "application/json" if text.lstrip().startswith("{") else "application/yaml"
    path = f"{_path(template)}/versions"
    made = session.client.ask("POST", path, text, query={"major": major}, media=media).body
    for warning in made.get("warnings") or ():
        session.out.note(f"Warning: {warning['pointer']}: {warning['detail']}")
    if publish:
        made = session.client.ask("POST", f"{path}/{made['version']}/publish").body
    session.out.item(made, _VERSION_FIELDS)


@app.command(epilog="Example: slipway templates publish web 1.2")
def publish(ctx: typer.Context, template: str, version: str) -> None:
    """Publish a draft: environments can be created from it, and it never changes again."""
    session: Session = ctx.obj
    path = f"{_path(template)}/versions/{quoted(version)}/publish"
    session.out.item(session.client.ask("POST", path).body, _VERSION_FIELDS)


@app.command(epilog="Example: slipway templates diff web 1.1 1.2")
def diff(ctx: typer.Context, template: str, old: str, new: str) -> None:
    """Compare the texts of two versions."""
    session: Session = ctx.obj
    before, after = (_body(session, template, each).splitlines() for each in (old, new))
    labels = f"{template}@{old}", f"{template}@{new}"
    found = [*difflib.unified_diff(before, after, *labels, lineterm="")]
    if session.out.as_json:
        return session.out.json({"diff": found})
    for line in found:
        session.out.line({}, line)
    return None


@app.command(epilog="Example: slipway templates usage web")
def usage(ctx: typer.Context, template: str) -> None:
    """Show how many environments use it, and how far they are behind."""
    session: Session = ctx.obj
    found = session.client.get(f"{_path(template)}/usage")
    fields = {
        "Newest": "newest",
        "Up to date": "up_to_date",
        "Behind by a minor version": "behind_minor",
        "Behind by a major version": "behind_major",
        "Failed": "failed",
    }
    session.out.item({"id": template, **found}, fields)


def _path(template: str) -> str:
    return f"{API}/templates/{quoted(template)}"


def _body(session: Session, template: str, version: str) -> str:
    path = f"{_path(template)}/versions/{quoted(version)}/body"
    found: Any = session.client.get(path)
    if isinstance(found, str):
        return found
    import json

    return json.dumps(found, indent=2)
