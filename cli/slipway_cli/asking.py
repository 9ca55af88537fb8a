"""The parts that every command has: choices, output and client; and names turned into objects."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any

from slipway_cli.client import Client, quoted
from slipway_cli.contexts import Choices
from slipway_cli.failures import CommandFailed, WrongUsage
from slipway_cli.output import Output

API = "/api/v1"
# Somebody waits at the prompt.
_COMPLETION_SECONDS = 2.0


class Session:
    """One call of the command line."""

    def __init__(self, choices: Choices, out: Output) -> None:
        self.choices = choices
        self.out = out

    @cached_property
    def client(self) -> Client:
        return Client(self.choices.platform())

    # --- names ---------------------------------------------------------------------------------

    def project_path(self, named: str | None = None) -> str:
        """The path of the project: the one `named`, or the chosen one. Raises WrongUsage."""
        return f"{API}/projects/{quoted(named or self.choices.the_project())}"

    def environment(self, named: str | None = None) -> dict[str, Any]:
        """The environment, by its id, or by its name in the chosen project.

        Raises WrongUsage, and as Client.ask.
        """
        name = self.choices.the_environment(named)
        if name.startswith("env_"):
            return dict(self.client.get(f"{API}/environments/{quoted(name)}"))
        path = f"{self.project_path()}/environments/{quoted(name)}"
        return dict(self.client.get(path))

    def environment_id(self, named: str | None = None) -> str:
        """The environment's id. A name costs a request. Raises as environment."""
        name = self.choices.the_environment(named)
        return name if name.startswith("env_") else str(self.environment(named)["id"])

    def environment_path(self, named: str | None = None) -> str:
        """The path of the environment, by its id. Raises as environment."""
        return f"{API}/environments/{quoted(self.environment_id(named))}"

    # --- questions -----------------------------------------------------------------------------

    def confirmed(self, question: str, *, yes: bool, flag: str = "--yes") -> None:
        """Ask, unless `yes` is given. Raises WrongUsage without a terminal, Abort for a no."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise WrongUsage(f"{question} Nobody can answer here.", hint=f"Add {flag}.")
        import typer

        typer.confirm(question, abort=True, err=True)


def pairs(given: list[str], flag: str) -> dict[str, str]:
    """`KEY=VALUE` arguments as a dict. Raises WrongUsage."""
    found: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise WrongUsage(f"{flag} takes KEY=VALUE, not {each!r}.", hint=f"{flag} Size=small")
        if key in found:
            raise WrongUsage(f"{flag} {key} is given more than once.")
        found[key] = value
    return found


# --- completion -------------------------------------------------------------------------------


def project_names(ctx: Any, incomplete: str) -> list[str]:
    """The names of the caller's projects that begin so; none if the platform does not answer."""
    return _names(ctx, lambda session: f"{API}/projects", incomplete)


def environment_names(ctx: Any, incomplete: str) -> list[str]:
    """The names of the project's environments that begin so."""
    return _names(ctx, lambda session: f"{session.project_path()}/environments", incomplete)


def _names(ctx: Any, path: Callable[[Session], str], incomplete: str) -> list[str]:
    given = ctx.find_root().params
    session = Session(Choices(given.get("url"), given.get("project")), Output())
    try:
        client = Client(session.choices.platform(), patience=_COMPLETION_SECONDS)
        found = client.all(path(session), most=100)
    except CommandFailed:
        return []
    return [each["name"] for each in found if each["name"].startswith(incomplete)]
