"""`slipway`: finds the command, runs it, and ends with its exit code (slipway_cli.failures)."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from slipway_cli import __version__
from slipway_cli.asking import Session, project_names
from slipway_cli.contexts import Choices
from slipway_cli.failures import (
    INTERRUPTED,
    NO_ANSWER,
    REFUSED,
    USAGE,
    CommandFailed,
    NoAnswer,
)
from slipway_cli.output import Output, printable

# Each command's module is imported when the command is called.
COMMANDS = {
    "login": "Sign in to a platform.",
    "register": "Make an account on a platform that lets you.",
    "logout": "Sign out, and forget the tokens.",
    "whoami": "Show who you are signed in as.",
    "contexts": "List the platforms that you have signed in to, or change the current one.",
    "projects": "List, create, show and delete projects.",
    "envs": "List, create, show, extend and destroy environments.",
    "deploy": "Deploy a version to an environment.",
    "rollback": "Go back to what was live before.",
    "promote": "Promote what is live in an environment to others.",
    "hold": "Show and release the hold of a rollback.",
    "cancel": "Cancel a deployment.",
    "queue": "List the deployments that run or wait.",
    "logs": "Show the log of a deployment or an environment, and follow it.",
    "watch": "Watch a deployment or an environment until it has ended or runs.",
    "variables": "List, set, unset, import and export variables.",
    "secrets": "List, set and unset secrets.",
    "templates": "List, push, publish and compare templates.",
    "tokens": "List, create and revoke tokens for programs.",
    "members": "List, add, change and remove members of a project.",
    "doctor": "Find out why something does not work.",
    "completion": "Print the completion script of a shell.",
}
# Commands that share a module.
_MODULES = {
    **dict.fromkeys(("login", "register", "logout", "whoami", "contexts"), "sessions"),
    **dict.fromkeys(("deploy", "cancel", "queue"), "deployments"),
    **dict.fromkeys(("rollback", "promote"), "rollbacks"),
    **dict.fromkeys(("logs", "watch"), "following"),
}
# The global flags, which can stand anywhere, and whether they take a value.
_GLOBAL = {
    "--url": True,
    "--project": True,
    "--env": True,
    "--json": False,
    "--quiet": False,
    "-p": True,
    "-q": False,
}


class _Commands(TyperGroup):
    """The commands, each imported when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"slipway_cli.commands.{_MODULES.get(cmd_name, cmd_name)}")
        found = typer.main.get_command(module.app)
        # A module of several commands is a group only where its name is one.
        return found.commands[cmd_name] if cmd_name in _MODULES else found  # type: ignore[attr-defined]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Global options can stand anywhere. Example: slipway deploy staging sha-1234567 --wait "
    "--project payments",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"slipway {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    ctx: typer.Context,
    url: str | None = typer.Option(None, help="The platform. Or SLIPWAY_URL."),
    project: str | None = typer.Option(
        None,
        "--project",
        "-p",
        help="The project, by name or id. Or SLIPWAY_PROJECT.",
        autocompletion=project_names,
    ),
    env: str | None = typer.Option(None, help="The environment. Or SLIPWAY_ENV."),
    json: bool = typer.Option(False, "--json", help="Print JSON and nothing else."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print ids only."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Projects, environments and deployments on Slipway, from a terminal or a pipeline."""
    ctx.obj = Session(Choices(url, project, env), Output(json, quiet))


def globals_first(arguments: list[str]) -> list[str]:
    """The arguments with the global flags in front, wherever they stand before a `--`."""
    first: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            return [*first, *rest, argument, *left]
        if name not in _GLOBAL or (equals and not _GLOBAL[name]):
            rest.append(argument)
            continue
        first.append(argument)
        if _GLOBAL[name] and not equals:
            first += [value for value in (next(left, None),) if value is not None]
    return [*first, *rest]


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run the command, and exit."""
    if "_SLIPWAY_COMPLETE" in os.environ:
        # The shell asks for what can stand at the cursor.
        from typer._completion_classes import completion_init

        completion_init()
    given = globals_first(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        code = app(args=given, prog_name="slipway", standalone_mode=False)
    except CommandFailed as failed:
        if failed.exit_code == REFUSED and not failed.hint:
            failed.hint = f"{_command(given)} --help"
        _explain(failed, as_json=as_json)
        sys.exit(failed.exit_code)
    except (KeyboardInterrupt, EOFError, typer.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader, such as `head`, has enough. Python would complain when it closes the pipe.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if hasattr(error, "format_message"):
            _explain(CommandFailed(error.format_message(), hint=_help_of(error)), as_json=as_json)
            sys.exit(USAGE)
        # 1 would say that what was waited for has failed, and nobody knows that.
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"A bug in slipway: {error!r} at {where.filename}:{where.lineno}."
        _explain(NoAnswer(text, hint="Please report it."), as_json=as_json)
        sys.exit(NO_ANSWER)
    sys.exit(code if isinstance(code, int) else 0)


def _command(arguments: list[str]) -> str:
    """The command that the arguments name, with the names of its group."""
    words = [each for each in arguments if each in COMMANDS][:1]
    after = arguments[arguments.index(words[0]) + 1 :] if words else []
    in_group = words and words[0] not in _MODULES and after and after[0].isalpha()
    return " ".join(["slipway", *words, *(after[:1] if in_group else [])])


def _help_of(error: Any) -> str:
    path = error.ctx.command_path if getattr(error, "ctx", None) else "slipway"
    return f"{path} --help"


def _explain(failed: CommandFailed, *, as_json: bool) -> None:
    if as_json:
        Output(as_json=True).json(failed.as_json())
        return
    code = f" ({failed.code})" if failed.code else ""
    print(f"{printable(failed.message)}{code}", file=sys.stderr)
    for each in failed.fields:
        if f"{each.get('pointer', '')}: {each.get('detail', '')}" == failed.message:
            continue
        detail = f"  {each.get('pointer', '')}: {each.get('detail', '')}"
        print(printable(detail), file=sys.stderr)
    if failed.hint:
        print(f"Next: {printable(failed.hint)}", file=sys.stderr)
