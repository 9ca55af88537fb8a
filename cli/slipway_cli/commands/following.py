"""logs and watch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from slipway_cli import following
from slipway_cli.asking import API, Session, environment_names
from slipway_cli.following import DEPLOYMENT_ENDS, ENVIRONMENT_RUNS, Deadline, seconds
from slipway_cli.output import is_terminal, printable, takes_colors
from slipway_cli.waiting import wait_for

app = typer.Typer(rich_markup_mode=None, add_completion=False)
_SUBJECT = typer.Argument(
    None,
    help="A deployment's id, or an environment's name or id.",
    autocompletion=environment_names,
)
_TIMEOUT = typer.Option(None, help="How long: 30, 30s, 5m.")


@app.command(epilog="Example: slipway logs dep_… --follow")
def logs(
    ctx: typer.Context,
    subject: str | None = _SUBJECT,
    follow: bool = typer.Option(False, "--follow", "-f", help="Wait for more lines, to the end."),
    timeout: str | None = _TIMEOUT,
) -> None:
    """Show the log of a deployment or an environment."""
    session: Session = ctx.obj
    deadline = Deadline(seconds(timeout))
    path = f"{_path(session, subject)}/logs"
    for line in following.lines(session.client, path, deadline, follow=follow):
        session.out.line(line, _text(line))


@app.command(epilog="Example: slipway watch staging")
def watch(
    ctx: typer.Context, subject: str | None = _SUBJECT, timeout: str | None = _TIMEOUT
) -> int:
    """Watch a deployment to its end, or an environment until it runs.

    The exit code is that of the final state.
    """
    session: Session = ctx.obj
    patience = seconds(timeout)
    path = _path(session, subject)
    found = session.client.get(path)
    from slipway_cli.commands import deployments, envs

    if not path.startswith(f"{API}/deployments/"):
        return wait_for(session, "environments", found, ENVIRONMENT_RUNS, patience, envs.FIELDS)
    try:
        _show_steps(session, found, path, Deadline(patience))
    except KeyboardInterrupt:
        session.out.note(f"It goes on without you. To continue watching: slipway watch {subject}")
        raise
    return wait_for(session, "deployments", found, DEPLOYMENT_ENDS, patience, deployments.FIELDS)


def _show_steps(session: Session, found: Mapping[str, Any], path: str, deadline: Deadline) -> None:
    """Show the log of a rollout until its end: as a tree that grows, or line by line."""
    lines = following.lines(session.client, f"{path}/logs", deadline, follow=True)
    if not is_terminal() or session.out.as_json or session.out.quiet:
        for line in lines:
            session.out.line(line, _text(line))
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(f"{found.get('version') or found['id']}  {found['id']}"))
    steps: dict[str, Any] = {}
    console = Console(no_color=not takes_colors(), highlight=False)
    with Live(tree, console=console, refresh_per_second=4):
        for line in lines:
            step = steps.get(line["step"])
            if step is None:
                step = steps[line["step"]] = tree.add(Text(printable(line["step"])))
            style = {"error": "red", "warning": "yellow"}.get(line["level"], "")
            step.add(Text(f"{line['ts'][11:19]}  {printable(line['message'])}", style=style))


def _path(session: Session, subject: str | None) -> str:
    return following.subject_path(subject or "") or session.environment_path(subject)


def _text(line: Mapping[str, Any]) -> str:
    level = "" if line["level"] == "info" else f"{line['level'].upper()} "
    return f"{line['ts']}  {line['step']:<12} {level}{line['message']}"
