"""doctor: what may be wrong, from the network to the project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import typer

from slipway_cli import contexts
from slipway_cli.asking import API, Session
from slipway_cli.client import Client
from slipway_cli.failures import FAILED, CommandFailed

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: slipway doctor")
def doctor(ctx: typer.Context) -> int:
    """Find out why something does not work. The exit code is 1 if something is wrong."""
    session: Session = ctx.obj
    found = [*_checks(session)]
    columns = {"Check": "id", "Result": "result", "Detail": "detail", "Next": "next"}
    session.out.items(found, columns)
    return FAILED if any(each["result"] == "failed" for each in found) else 0


def _checks(session: Session) -> Iterator[dict[str, Any]]:
    url = session.choices.platform()
    client = Client(url, patience=5)
    answers = _checked(
        "platform",
        lambda: f"{url}: {client.ask('GET', '/health', signed_in=False).body.get('status')}",
    )
    yield answers
    if answers["result"] == "failed":
        return
    source = "SLIPWAY_TOKEN" if os.environ.get("SLIPWAY_TOKEN") else str(contexts.folder())
    me = _checked("sign-in", lambda: f"{client.get(f'{API}/auth/me')['email']} ({source})")
    yield me
    if me["result"] == "failed":
        return
    try:
        project = session.choices.the_project()
    except CommandFailed as unset:
        yield {"id": "project", "result": "skipped", "detail": unset.message, "next": unset.hint}
        return
    yield _checked("project", lambda: f"{client.get(session.project_path(project))['id']}")


def _checked(name: str, check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"id": name, "result": "ok", "detail": check(), "next": ""}
    except CommandFailed as failed:
        return {"id": name, "result": "failed", "detail": failed.message, "next": failed.hint}
