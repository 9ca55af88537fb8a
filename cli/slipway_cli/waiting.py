"""`--wait`: report what happens, and turn the final state into the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import typer

from slipway_cli.asking import API, Session
from slipway_cli.client import quoted
from slipway_cli.failures import FAILED, NoAnswer
from slipway_cli.following import CONFIRMATION_ENDS, Deadline, seconds, until
from slipway_cli.output import printable

WAIT = typer.Option(False, "--wait", help="Wait for the end; the exit code is that of the end.")
TIMEOUT = typer.Option(None, help="How long to wait: 30, 30s, 5m.")
_ASKED = {"Id": "id", "Status": "status", "Action": "action", "Reason": "reason"}


def patience(wait: bool, timeout: str | None) -> float | Literal[False] | None:
    """How long `--wait` and `--timeout` ask to wait: False not at all, None without an end.

    Raises WrongUsage.
    """
    limit = seconds(timeout)
    return limit if wait else False


def shown(
    session: Session,
    kind: str,
    made: Mapping[str, Any],
    ends: Mapping[str, bool],
    fields: Mapping[str, str],
    wait: float | Literal[False] | None,
) -> int:
    """Print the object that a command has made or changed, at once if `wait` is False.

    Otherwise at its end: `wait` is the number of seconds, None for any. Returns the exit code.
    Raises as wait_for.
    """
    if str(made.get("id", "")).startswith("cnf_"):
        return _confirmed(session, kind, made, ends, fields, wait)
    if wait is not False:
        return wait_for(session, kind, made, ends, wait, fields)
    session.out.item(made, fields)
    return 0


def _confirmed(
    session: Session,
    kind: str,
    asked: Mapping[str, Any],
    ends: Mapping[str, bool],
    fields: Mapping[str, str],
    wait: float | Literal[False] | None,
) -> int:
    """A machine's request that waits for a person: print it; or wait for that, and then as shown.

    Raises as wait_for, and NoAnswer if what was carried out is not known.
    """
    session.out.note("It waits for a person, who decides in the console.")
    if wait is False:
        session.out.item(asked, _ASKED)
        return 0
    code = wait_for(session, "confirmations", asked, CONFIRMATION_ENDS, wait, _ASKED)
    if code:
        return code
    done = session.client.get(f"{API}/confirmations/{quoted(str(asked['id']))}")
    body = (done.get("result") or {}).get("body")
    made = json.loads(body) if isinstance(body, str) else body
    identity = (made or {}).get("id") or done.get("target")
    if not identity or not str(identity).startswith(_KINDS[kind]):
        raise NoAnswer("It was carried out, and its end is not known.", hint="slipway queue")
    found = session.client.get(f"{API}/{kind}/{quoted(str(identity))}")
    return wait_for(session, kind, found, ends, wait, fields)


_KINDS = {"deployments": "dep_", "environments": "env_", "promotions": "pro_"}


def wait_for(
    session: Session,
    kind: str,
    found: Mapping[str, Any],
    ends: Mapping[str, bool],
    timeout: float | None,
    fields: Mapping[str, str],
) -> int:
    """Wait until the object has ended, print it, and return the exit code.

    `kind` is `deployments` or `environments`, and `found` the object as it was last seen. After
    Ctrl-C it says how to continue, and raises KeyboardInterrupt. Raises NoAnswer, and as
    Client.ask.
    """
    identity = str(found["id"])
    goes_on = f"slipway watch {identity}"
    seen = [found.get("status")]

    def report(now: Mapping[str, Any]) -> None:
        if now["status"] != seen[-1]:
            session.out.note(
                f"{now.get('name') or now.get('version') or identity}: {now['status']}"
            )
            seen.append(now["status"])

    session.out.note(f"{identity} is {found.get('status')}; waiting.")
    path = f"{API}/{kind}/{quoted(identity)}"
    try:
        ended = until(session.client, path, ends, Deadline(timeout), report, goes_on)
    except KeyboardInterrupt:
        stop = f"; to stop it: slipway cancel {identity}" if kind == "deployments" else ""
        session.out.note(f"It goes on without you. To continue watching: {goes_on}{stop}")
        raise
    session.out.item(ended, fields)
    if ends[ended["status"]]:
        return 0
    session.out.note(reason_of(ended))
    return FAILED


def reason_of(ended: Mapping[str, Any]) -> str:
    """Why it did not succeed, in a sentence."""
    failure = ended.get("failure") or {}
    reason = failure.get("reason") or ended.get("superseded_by") or "see its log"
    return printable(f"It is {ended['status']}: {reason}")
