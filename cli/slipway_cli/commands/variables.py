"""Variables of an environment, a project or a tier."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from slipway_cli.asking import Session, pairs
from slipway_cli.failures import WrongUsage
from slipway_cli.levels import APPLY, OF_PROJECT, TIER, changed, level_path
from slipway_cli.output import is_terminal, printable
from slipway_cli.waiting import TIMEOUT, WAIT

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List, set, unset, import and export variables.",
)
_COLUMNS = {
    "Name": "name",
    "Value": "value",
    "From": "source",
    "Changed": "updated_at:age",
    "By": "updated_by.name",
}
_FORMATS = {"dotenv": "text/plain", "json": "application/merge-patch+json"}
_FORMAT = typer.Option(None, "--format", help="dotenv or json.")


@app.command("list", epilog="Example: slipway variables list --env staging")
def list_(ctx: typer.Context, of_project: bool = OF_PROJECT, tier: str | None = TIER) -> None:
    """List the variables that are valid there, with the level that each value comes from."""
    session: Session = ctx.obj
    path, query = level_path(session, of_project, tier)
    session.out.items(session.client.all(f"{path}/variables", None, limit=None, **query), _COLUMNS)


@app.command("set", epilog="Example: slipway variables set LOG_LEVEL=debug --env staging --apply")
def set_(
    ctx: typer.Context,
    given: list[str] = typer.Argument(metavar="NAME=VALUE...", help="One or several."),
    of_project: bool = OF_PROJECT,
    tier: str | None = TIER,
    apply: bool = APPLY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Set variables. They take effect with the next deployment, or with --apply."""
    body: dict[str, Any] = dict(pairs(given, "set"))
    return _change(ctx.obj, body, (of_project, tier), (apply, wait, timeout))


@app.command(epilog="Example: slipway variables unset OLD_NAME --env staging")
def unset(
    ctx: typer.Context,
    names: list[str] = typer.Argument(help="One or several."),
    of_project: bool = OF_PROJECT,
    tier: str | None = TIER,
    apply: bool = APPLY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Remove variables from the level. A value that a level above has becomes valid again."""
    return _change(ctx.obj, dict.fromkeys(names), (of_project, tier), (apply, wait, timeout))


@app.command("import", epilog="Example: slipway variables import .env --env staging")
def import_(
    ctx: typer.Context,
    file: str = typer.Argument(help="A file of NAME=VALUE lines or of JSON, or - to read one."),
    format_: str | None = _FORMAT,
    of_project: bool = OF_PROJECT,
    tier: str | None = TIER,
    apply: bool = APPLY,
    wait: bool = WAIT,
    timeout: str | None = TIMEOUT,
) -> int:
    """Set the variables of a file. Those that it does not name stay."""
    media = _media(format_ or ("json" if file.endswith(".json") else "dotenv"))
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} cannot be read: {error}") from None
    return _change(ctx.obj, text, (of_project, tier), (apply, wait, timeout), media)


@app.command(epilog="Example: slipway variables export --env staging > .env")
def export(
    ctx: typer.Context,
    format_: str | None = _FORMAT,
    of_project: bool = OF_PROJECT,
    tier: str | None = TIER,
) -> None:
    """Print the variables as a file that `import` reads."""
    session: Session = ctx.obj
    name = format_ or ("json" if session.out.as_json else "dotenv")
    path, query = level_path(session, of_project, tier)
    accept = {"Accept": _media(name)}
    found = session.client.ask("GET", f"{path}/variables", query=query, headers=accept).body
    if isinstance(found, str):
        # A file is as it was sent; a terminal must not obey what others wrote.
        lines = found.splitlines(keepends=True)
        shown = [f"{printable(line.rstrip())}\n" for line in lines] if is_terminal() else lines
        sys.stdout.write("".join(shown))
    else:
        session.out.json(found or {})


def _media(name: str) -> str:
    if name not in _FORMATS:
        raise WrongUsage(f"--format is dotenv or json, not {name}.")
    return _FORMATS[name]


def _change(
    session: Session,
    body: Any,
    level: tuple[bool, str | None],
    how: tuple[bool, bool, str | None],
    media: str = "application/merge-patch+json",
) -> int:
    path, query = level_path(session, *level)

    def send(more: dict[str, Any]) -> Any:
        asked = {**query, **more}
        return session.client.ask("PATCH", f"{path}/variables", body, query=asked, media=media).body

    return changed(session, send, *how)
