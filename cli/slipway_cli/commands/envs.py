"""Environments."""

from __future__ import annotations

from typing import Any

import typer

from slipway_cli.asking import API, Session, environment_names, pairs
from slipway_cli.client import quoted
from slipway_cli.failures import CommandFailed, WrongUsage
from slipway_cli.following import (
    DEPLOYMENT_ENDS,
    ENVIRONMENT_ENDS,
    ENVIRONMENT_RUNS,
)
from slipway_cli.waiting import patience, shown

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, create, show, extend and destroy environments.",
)
_COLUMNS = {
    "Name": "name",
    "Status": "status",
    "Type": "type",
    "Live": "live_version",
    "Left": "expires_at:left",
    "Age": "created_at:age",
    "By": "created_by.name",
    "Id": "id",
}
FIELDS = {
    "Name": "name",
    "Id": "id",
    "Status": "status",
    "URL": "base_url",
    "Type": "type",
    "Tier": "tier",
    "Template": "template",
    "Inputs": "inputs",
    "Outputs": "outputs",
    "Live": "live_version",
    "Time left": "expires_at:left",
    "Pinned": "pinned.reason",
    "Labels": "labels",
    "Failure": "failure.reason",
    "Created": "created_at",
    "By": "created_by.name",
}
_UPDATE_FIELDS = {"Id": "id", "Status": "status", "Template": "template"}
_ENV = typer.Argument(None, help="Its name or id.", autocompletion=environment_names)
_WAIT = typer.Option(False, "--wait", help="Wait for the end; the exit code is that of the end.")
_TIMEOUT = typer.Option(None, help="How long to wait: 30, 30s, 5m.")
_YES = typer.Option(False, "--yes", "-y", help="Do not ask.")


@app.command("list", epilog="Example: slipway envs list --project payments --status running")
def list_(
    ctx: typer.Context,
    all_projects: bool = typer.Option(False, "--all-projects", help="Of all your projects."),
    ended: bool = typer.Option(False, "--ended", help="Also those that are destroyed."),
    status: list[str] = typer.Option([], help="Only in this state; can be repeated."),
    label: list[str] = typer.Option([], help="KEY:VALUE; can be repeated."),
) -> None:
    """List environments, newest first."""
    session: Session = ctx.obj
    path = f"{API}/environments"
    if not all_projects:
        path = f"{session.project_path()}/environments"
    include = "ended" if ended else None
    found = session.client.all(path, include=include, status=status, label=label)
    session.out.items(found, _COLUMNS)


@app.command(
    epilog="Example: slipway envs create pr-7 --type ephemeral --ttl 24h --template web@1 "
    "--input Size=small --wait"
)
def create(
    ctx: typer.Context,
    name: str,
    type_: str = typer.Option("ephemeral", "--type", help="ephemeral or persistent."),
    ttl: str | None = typer.Option(None, help="How long it lives: 24h, 30m, or hours."),
    tier: str | None = typer.Option(None, help="preview, staging or production."),
    template: str | None = typer.Option(None, help="NAME, NAME@1 or NAME@1.2."),
    input_: list[str] = typer.Option([], "--input", help="KEY=VALUE; can be repeated."),
    label: list[str] = typer.Option([], help="KEY=VALUE; can be repeated."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the plan, and create nothing."),
    wait: bool = _WAIT,
    timeout: str | None = _TIMEOUT,
) -> int:
    """Create an environment."""
    session: Session = ctx.obj
    body: dict[str, Any] = {"name": name, "type": type_}
    optional = {"tier": tier, "template": template, "ttl_hours": hours(ttl)}
    body |= {key: value for key, value in optional.items() if value is not None}
    if input_:
        body["inputs"] = pairs(input_, "--input")
    if label:
        body["labels"] = pairs(label, "--label")
    limit = patience(wait, timeout)
    path = f"{API}/environments/projects/{quoted(session.choices.the_project())}"
    query = {"dry_run": dry_run or None}
    made = session.client.ask("POST", path, body, query=query).body
    if dry_run:
        session.out.json(made)
        return 0
    return shown(session, "environments", made, ENVIRONMENT_RUNS, FIELDS, limit)


@app.command(epilog="Example: slipway envs show pr-7")
def show(ctx: typer.Context, env: str | None = _ENV) -> None:
    """Show an environment."""
    session: Session = ctx.obj
    session.out.item(session.environment(env), FIELDS)


@app.command("open", epilog="Example: slipway envs open pr-7")
def open_(ctx: typer.Context, env: str | None = _ENV) -> None:
    """Open its URL in a browser; without one, print the URL."""
    session: Session = ctx.obj
    found = session.environment(env)
    url = str(found.get("base_url") or "")
    if not url:
        raise CommandFailed(
            f"{found['name']} has no URL; it is {found['status']}.",
            hint=f"slipway watch {found['id']}",
        )
    session.out.done(url, {"url": url})
    if url.startswith(("http://", "https://")) and not session.out.as_json:
        import webbrowser

        webbrowser.open(url)


@app.command(epilog="Example: slipway envs extend pr-7 --ttl 8h")
def extend(
    ctx: typer.Context,
    env: str | None = _ENV,
    ttl: str = typer.Option(help="How long it lives from now: 8h, 30m, or hours."),
) -> None:
    """Extend its lease."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/extend"
    session.out.item(session.client.ask("POST", path, {"ttl_hours": hours(ttl)}).body, FIELDS)


@app.command(epilog="Example: slipway envs pin pr-7 --reason 'demo on Friday'")
def pin(
    ctx: typer.Context, env: str | None = _ENV, reason: str = typer.Option(help="Why.")
) -> None:
    """Pin it: it does not expire until it is unpinned."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/pin"
    session.out.item(session.client.ask("POST", path, {"reason": reason}).body, FIELDS)


@app.command(epilog="Example: slipway envs unpin pr-7")
def unpin(ctx: typer.Context, env: str | None = _ENV) -> None:
    """Unpin it: its lease starts again."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/unpin"
    session.out.item(session.client.ask("POST", path).body, FIELDS)


@app.command(epilog="Example: slipway envs destroy pr-7 --yes --wait")
def destroy(
    ctx: typer.Context,
    env: str | None = _ENV,
    confirm: str | None = typer.Option(None, help="Its name, if it is protected."),
    yes: bool = _YES,
    wait: bool = _WAIT,
    timeout: str | None = _TIMEOUT,
) -> int:
    """Destroy it, with all its resources."""
    session: Session = ctx.obj
    found = session.environment(env)
    limit = patience(wait, timeout)
    session.confirmed(f"Destroy {found['name']} ({found['type']})?", yes=yes)
    headers = {"X-Confirm": confirm} if confirm else None
    path = f"{API}/environments/{found['id']}"
    going = session.client.ask("DELETE", path, headers=headers).body or found
    return shown(session, "environments", going, ENVIRONMENT_ENDS, FIELDS, limit)


@app.command(epilog="Example: slipway envs update pr-7 --template web@2 --input Size=large --wait")
def update(
    ctx: typer.Context,
    env: str | None = _ENV,
    template: str | None = typer.Option(None, help="NAME@1.2, NAME@2 or NAME."),
    input_: list[str] = typer.Option([], "--input", help="KEY=VALUE; can be repeated."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the plan, and change nothing."),
    wait: bool = _WAIT,
    timeout: str | None = _TIMEOUT,
) -> int:
    """Move it to another template version, or change its inputs."""
    session: Session = ctx.obj
    body: dict[str, Any] = {"template": template} if template else {}
    if input_:
        body["inputs"] = pairs(input_, "--input")
    limit = patience(wait, timeout)
    path = f"{session.environment_path(env)}/update"
    made = session.client.ask("POST", path, body, query={"dry_run": dry_run or None}).body
    if dry_run:
        session.out.json(made)
        return 0
    return shown(session, "deployments", made, DEPLOYMENT_ENDS, _UPDATE_FIELDS, limit)


@app.command(epilog="Example: slipway envs events pr-7")
def events(
    ctx: typer.Context,
    env: str | None = _ENV,
    limit: int = typer.Option(50, min=1, help="How many, newest first."),
) -> None:
    """List what happened to it and its deployments, newest first."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/events"
    columns = {"At": "at", "What": "action", "Reason": "reason", "By": "by.name", "Id": "subject"}
    session.out.items(session.client.all(path, limit), columns)


@app.command(epilog="Example: slipway envs resources pr-7")
def resources(ctx: typer.Context, env: str | None = _ENV) -> None:
    """List the resources of its stack."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/resources"
    columns = {
        "Resource": "logical_id",
        "Type": "type",
        "Status": "status",
        "Name": "physical_id",
        "Reason": "reason",
    }
    session.out.items(session.client.all(path), columns)


@app.command(epilog="Example: slipway envs drift pr-7 --detect")
def drift(
    ctx: typer.Context,
    env: str | None = _ENV,
    detect: bool = typer.Option(False, "--detect", help="Detect it now."),
) -> None:
    """Show how its resources differ from its template."""
    session: Session = ctx.obj
    path = f"{session.environment_path(env)}/drift"
    if detect:
        session.client.ask("POST", path)
    found = session.client.get(path)
    session.out.item(found, {"Drift": "status", "Checked": "checked_at", "Reason": "reason"})


def hours(text: str | None) -> float | None:
    """A lifetime as `24`, `24h`, `30m` or `7d`, in hours. Raises WrongUsage."""
    if text is None:
        return None
    units = {"h": 1.0, "m": 1 / 60, "d": 24.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "h")
    try:
        return float(number) * units[unit]
    except ValueError:
        raise WrongUsage(f"{text!r} is no length of time.", hint="24h, 30m, 7d, or hours") from None
