"""Projects."""

from __future__ import annotations

import typer

from slipway_cli.asking import API, Session, pairs, project_names
from slipway_cli.client import quoted

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, create, show and delete projects.",
)
_COLUMNS = {"Name": "name", "Id": "id", "Status": "status", "Age": "created_at:age"}
_FIELDS = {
    "Name": "name",
    "Id": "id",
    "Status": "status",
    "Description": "description",
    "Repository": "repo_url",
    "Labels": "labels",
    "Created": "created_at",
}


@app.command("list", epilog="Example: slipway projects list --json")
def list_(ctx: typer.Context) -> None:
    """List your projects, newest first."""
    session: Session = ctx.obj
    session.out.items(session.client.all(f"{API}/projects"), _COLUMNS)


@app.command(epilog="Example: slipway projects create payments --label team=checkout")
def create(
    ctx: typer.Context,
    name: str,
    description: str | None = typer.Option(None),
    repo_url: str | None = typer.Option(None, help="The repository's URL."),
    label: list[str] = typer.Option([], help="KEY=VALUE; can be repeated."),
) -> None:
    """Create a project, which you own."""
    session: Session = ctx.obj
    wanted = {"name": name, "description": description, "repo_url": repo_url}
    body = {key: value for key, value in wanted.items() if value is not None}
    if label:
        body["labels"] = pairs(label, "--label")  # type: ignore[assignment]
    session.out.item(session.client.ask("POST", f"{API}/projects", body).body, _FIELDS)


@app.command(epilog="Example: slipway projects show payments")
def show(
    ctx: typer.Context,
    project: str | None = typer.Argument(
        None, help="Its name or id.", autocompletion=project_names
    ),
) -> None:
    """Show a project."""
    session: Session = ctx.obj
    session.out.item(session.client.get(session.project_path(project)), _FIELDS)


@app.command(epilog="Example: slipway projects delete payments --cascade --yes")
def delete(
    ctx: typer.Context,
    project: str = typer.Argument(help="Its name or id.", autocompletion=project_names),
    cascade: bool = typer.Option(False, help="Destroy its environments as well."),
    confirm: str | None = typer.Option(None, help="Its name, if it asks for it."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Delete a project."""
    session: Session = ctx.obj
    also = " with all its environments" if cascade else ""
    session.confirmed(f"Delete the project {project}{also}?", yes=yes)
    headers = {"X-Confirm": confirm} if confirm else None
    path = f"{API}/projects/{quoted(project)}"
    answer = session.client.ask("DELETE", path, query={"cascade": cascade or None}, headers=headers)
    going = "is being deleted" if answer.status == 202 else "is deleted"
    session.out.done(f"The project {project} {going}.", answer.body)
