"""logs and watch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from slipway_cli import following
from slipway_cli.asking import API, Session, environment_names
from slipway_cli.client import quoted
from slipway_cli.failures import CommandFailed, WrongUsage
from slipway_cli.following import (
    DEPLOYMENT_ENDS,
    ENVIRONMENT_RUNS,
    PROMOTION_ENDS,
    Deadline,
    seconds,
)
from slipway_cli.output import is_terminal, moment, printable, span, takes_colors
from slipway_cli.waiting import wait_for

app = typer.Typer(rich_markup_mode=None, add_completion=False)
_SUBJECT = typer.Argument(
    None,
    help="The id of a deployment or a promotion, or an environment's name or id.",
    autocompletion=environment_names,
)
# How many pages without a line a search goes on for.
_SEARCHED = 20
# How many rollouts tell how long one usually takes.
_MEASURED = 5
_TIMEOUT = typer.Option(None, help="How long: 30, 30s, 5m.")


@app.command(epilog="Example: slipway logs staging --runtime --since 15m --follow")
def logs(
    ctx: typer.Context,
    subject: str | None = _SUBJECT,
    follow: bool = typer.Option(False, "--follow", "-f", help="Wait for more lines, to the end."),
    runtime: bool = typer.Option(False, "--runtime", help="What the environment's code writes."),
    since: str | None = typer.Option(None, help="For --runtime: a time, or an age such as 15m."),
    filter_: str | None = typer.Option(None, "--filter", help="For --runtime: a text in them."),
    source: str | None = typer.Option(None, help="For --runtime: a function's name."),
    timeout: str | None = _TIMEOUT,
) -> None:
    """Show the log of a deployment or an environment."""
    session: Session = ctx.obj
    deadline = Deadline(seconds(timeout))
    asked = {"since": _moment(since), "filter": filter_, "source": source}
    if not runtime and any(asked.values()):
        raise WrongUsage("--since, --filter and --source need --runtime.")
    path = _path(session, subject)
    if runtime and not path.startswith(f"{API}/environments/"):
        raise WrongUsage("--runtime shows what an environment's code writes: name one.")
    path += "/runtime-logs" if runtime else "/logs"
    empty = _SEARCHED if filter_ else 1
    lines = following.lines(session.client, path, deadline, follow=follow, query=asked, empty=empty)
    for line in lines:
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
    from slipway_cli.commands import deployments, envs, rollbacks

    if path.startswith(f"{API}/promotions/"):
        fields = rollbacks.PROMOTED
        return wait_for(session, "promotions", found, PROMOTION_ENDS, patience, fields)
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

    tree = Tree("")
    steps: dict[str, Any] = {}
    usual = _usual_seconds(session, found)

    def shown() -> Tree:
        left = _time_left(found, usual)
        tree.label = Text(f"{found.get('version') or found['id']}  {found['id']}{left}")
        return tree

    console = Console(no_color=not takes_colors(), highlight=False)
    with Live(console=console, refresh_per_second=4, get_renderable=shown):
        for line in lines:
            step = steps.get(line["step"])
            if step is None:
                step = steps[line["step"]] = tree.add(Text(printable(line["step"])))
            style = {"error": "red", "warning": "yellow"}.get(line["level"], "")
            step.add(Text(f"{line['ts'][11:19]}  {printable(line['message'])}", style=style))


def _usual_seconds(session: Session, found: Mapping[str, Any]) -> float | None:
    """The median of how long the environment's last rollouts took; None if that is not known."""
    path = f"{API}/environments/{quoted(str(found['environment_id']))}/deployments"
    try:
        done = session.client.all(path, _MEASURED, status="succeeded")
    except CommandFailed:
        return None
    took = sorted(
        (moment(each["finished_at"]) - moment(each["started_at"])).total_seconds()
        for each in done
        if each.get("started_at") and each.get("finished_at")
    )
    return took[len(took) // 2] if took else None


def _time_left(found: Mapping[str, Any], usual: float | None) -> str:
    """How long it will still take if it takes as long as the last ones did."""
    if usual is None:
        return ""
    began = moment(found.get("started_at") or found["created_at"])
    left = usual - (datetime.now(UTC) - began).total_seconds()
    return f"  about {span(timedelta(seconds=left))} left" if left > 1 else "  longer than usual"


def _path(session: Session, subject: str | None) -> str:
    return following.subject_path(subject or "") or session.environment_path(subject)


def _text(line: Mapping[str, Any]) -> str:
    level = line.get("level") or "info"
    shown = "" if level == "info" else f"{level.upper()} "
    where = line.get("step") or line.get("source") or ""
    return f"{line['ts']}  {where:<12} {shown}{line['message']}"


def _moment(since: str | None) -> str | None:
    """The time, or the one that an age such as 15m stands for. Raises WrongUsage."""
    if since is None or "T" in since or "-" in since:
        return since
    before = datetime.now(UTC) - timedelta(seconds=seconds(since, "--since") or 0)
    return before.isoformat(timespec="milliseconds").replace("+00:00", "Z")
