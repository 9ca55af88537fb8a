"""login, logout, whoami and contexts."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

import typer

from slipway_cli import contexts
from slipway_cli.asking import API, Session
from slipway_cli.client import Client, kept_tokens
from slipway_cli.failures import CommandFailed, WrongUsage

_BOTH = "slipway login --device, or slipway login --email ann@example.com"
app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Example: slipway login https://slipway.example.com")
def login(
    ctx: typer.Context,
    url: str | None = typer.Argument(None, help="The platform."),
    email: str | None = typer.Option(None, help="Your e-mail address, to use a password."),
    password_stdin: bool = typer.Option(
        False, "--password-stdin", help="Read the password from standard input."
    ),
    device: bool = typer.Option(
        False, "--device", help="Approve a code in a browser, also without a terminal here."
    ),
) -> None:
    """Sign in to a platform, and make it the current one.

    You approve a code in a browser, where you are signed in. With --email, a password is asked for.
    """
    session: Session = ctx.obj
    platform = (url or session.choices.platform()).rstrip("/")
    _require_safe(platform)
    if device and (email or password_stdin):
        raise WrongUsage("A code is approved without an address and a password.", hint=_BOTH)
    if device or (sys.stdin.isatty() and not email and not password_stdin):
        return _with_a_code(session, platform)
    return _with_a_password(session, platform, email, password_stdin=password_stdin)


@app.command(epilog="Example: slipway register http://127.0.0.1:8000 --email ann@example.com")
def register(
    ctx: typer.Context,
    url: str | None = typer.Argument(None, help="The platform."),
    email: str | None = typer.Option(None, help="Your e-mail address."),
    password_stdin: bool = typer.Option(
        False, "--password-stdin", help="Read the password from standard input."
    ),
    invitation: str | None = typer.Option(None, help="What you were invited with."),
) -> None:
    """Make an account on a platform that lets you, and sign in to it."""
    session: Session = ctx.obj
    platform = (url or session.choices.platform()).rstrip("/")
    _require_safe(platform)
    email = email or _asked("E-mail", "--email", hidden=False)
    password = _password(password_stdin=password_stdin)
    body = {"email": email, "password": password}
    body |= {"invitation": invitation} if invitation else {}
    made = Client(platform).ask("POST", f"{API}/auth/register", body, signed_in=False)
    if made.status == 202:
        text = f"Open the link that was mailed to {email}, then: slipway login {platform}"
        return session.out.done(text, made.body)
    return _sign_in(session, platform, email, password)


def _with_a_code(session: Session, platform: str) -> None:
    from slipway_cli.device import sign_in

    client = Client(platform)
    tokens = sign_in(client)
    sent = {"Authorization": f"Bearer {tokens['access_token']}"}
    me = client.ask("GET", f"{API}/auth/me", headers=sent, signed_in=False).body
    _remember(session, platform, str(me["email"]), tokens)
    if not tokens.get("refresh_token"):
        minutes = round(tokens["expires_in"] / 60)
        session.out.note(
            f"The company's sign-in gives no longer session than {minutes} minutes here. For "
            "more: slipway tokens create NAME, and SLIPWAY_TOKEN."
        )


def _with_a_password(
    session: Session, platform: str, email: str | None, *, password_stdin: bool
) -> None:
    email = email or _asked("E-mail", "--email", hidden=False)
    _sign_in(session, platform, email, _password(password_stdin=password_stdin))


def _password(*, password_stdin: bool) -> str:
    if password_stdin:
        return sys.stdin.readline().rstrip("\n")
    return _asked("Password", "--password-stdin", hidden=True)


def _sign_in(session: Session, platform: str, email: str, password: str) -> None:
    sent = {"username": email, "password": password}
    answer = Client(platform).ask("POST", f"{API}/auth/login", sent, signed_in=False)
    _remember(session, platform, email, answer.body)


def _remember(session: Session, platform: str, email: str, tokens: dict[str, Any]) -> None:
    contexts.remember(platform, email, kept_tokens(tokens))
    session.out.done(f"Signed in to {platform} as {email}.", {"url": platform, "email": email})


@app.command(epilog="Example: slipway logout")
def logout(
    ctx: typer.Context,
    url: str | None = typer.Argument(None, help="The platform; the current one if omitted."),
) -> None:
    """Sign out: the session ends, and its tokens are forgotten."""
    session: Session = ctx.obj
    platform = (url or session.choices.platform()).rstrip("/")
    ended = True
    if contexts.read_tokens(platform):
        try:
            Client(platform, patience=10).ask("POST", f"{API}/auth/logout")
        except CommandFailed:
            ended = False
    contexts.forget(platform)
    also = "" if ended else " The platform did not confirm it; the session ends by itself."
    session.out.done(f"Signed out of {platform}.{also}", {"url": platform, "session_ended": ended})


@app.command(epilog="Example: slipway whoami --json")
def whoami(ctx: typer.Context) -> None:
    """Show who you are signed in as, and where."""
    session: Session = ctx.obj
    me = {**session.client.get(f"{API}/auth/me"), "url": session.client.url}
    fields = {"Platform": "url", "E-mail": "email", "Id": "id", "Role": "platform_role"}
    session.out.item(me, fields)


@app.command("contexts", epilog="Example: slipway contexts use http://127.0.0.1:8000")
def contexts_(
    ctx: typer.Context,
    verb: str = typer.Argument("list", help="list or use"),
    url: str | None = typer.Argument(None, help="For use: the platform."),
) -> None:
    """List the platforms that you have signed in to, or change the current one."""
    session: Session = ctx.obj
    if verb == "use" and url:
        contexts.use(url.rstrip("/"))
        session.out.done(f"{url} is the current platform.", {"url": url})
    elif verb == "list":
        shown = {"Platform": "url", "E-mail": "email", "Current": "current"}
        session.out.items(contexts.listed(), shown)
    else:
        raise WrongUsage("The verbs are `list` and `use URL`.", hint="slipway contexts --help")


def _require_safe(url: str) -> None:
    """Raises WrongUsage for what is no address of a platform, or would send a password openly."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongUsage(f"{url} is not the URL of a platform.", hint="slipway login https://…")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise WrongUsage(
            f"{url} is not encrypted: everybody on the way could read your password.",
            hint=f"slipway login https://{parts.netloc}",
        )


def _asked(what: str, flag: str, *, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise WrongUsage(
            f"{what} is missing, and nobody can be asked here.",
            hint=f"Add {flag}. Without a password: slipway login --device",
        )
    return str(typer.prompt(what, hide_input=hidden, err=True))
