"""The approval of a sign-in on a device, such as the command line's (RFC 8628)."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Problem
from slipway.console.forms import Form
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.request import Page, Redirect, Request

DEVICE = "/api/v1/auth/device"
_VERDICTS = {"approve": "approved", "deny": "denied"}
_ENDS = {
    "approved": "Approved. The device is signed in as you: go back to it.",
    "denied": "Denied. The device gets nothing.",
}


def show(request: Request) -> Page:
    """The field for a device's code, or who asks, with a button to approve it."""
    verdict = _ENDS.get(request.query.get("verdict", ""))
    if verdict:
        return Page("Sign in on a device", html("<p>{verdict}</p>", verdict=verdict))
    code = request.form.get("user_code") or request.query.get("user_code") or ""
    if not code.strip():
        return Page("Sign in on a device", _ask(request, NOTHING))
    try:
        found = request.api.get(DEVICE, query={"user_code": code.strip()}).data
    except Problem as problem:
        if problem.status not in (404, 422, 429):
            raise
        request.told = True
        box = layout.problem_page(problem).body
        return Page("Sign in on a device", _ask(request, box), status=problem.status)
    return Page("Sign in on a device", _decide(request, found))


def _ask(request: Request, refused: Markup) -> Markup:
    """The form for the code. It is sent by GET, because it changes nothing."""
    return html(
        '<div class="narrow">{refused}<form method="get" action="/console/device">'
        '<div class="field"><label for="user_code">Code</label><p class="hint" id="code-hint">'
        "The device shows it, such as WDJB-MJHT.</p>"
        '<input id="user_code" name="user_code" required maxlength="20" autocomplete="off" '
        'autocapitalize="characters" spellcheck="false" aria-describedby="code-hint"></div>'
        '<div class="buttons"><button>Go on</button></div></form></div>',
        refused=refused,
    )


def _decide(request: Request, found: dict[str, Any]) -> Markup:
    """Who asks, and the two buttons. Nothing is approved by opening the page."""
    if found["status"] != "pending":
        return html("<p>{said}</p>", said=_ENDS.get(found["status"], "It has been used."))
    form = Form(request, "/console/device")
    form.hidden("user_code", found["user_code"])
    form.hidden("verdict", "approve")
    denial = Form(request, "/console/device")
    denial.problem = None
    denial.hidden("user_code", found["user_code"])
    denial.hidden("verdict", "deny")
    return joined(
        [
            layout.panel(
                html(
                    "<p><strong>{name}</strong> asks to be signed in as {email}.</p>",
                    name=found["client_name"],
                    email=request.user.email,
                ),
                layout.facts(
                    ("Code", html("<code>{code}</code>", code=found["user_code"])),
                    ("Asked from", found["asked_from"]),
                    ("Your address", request.address),
                    ("Asked", moments.ago(found["asked_at"])),
                    ("Ends", moments.ago(found["expires_at"])),
                ),
                html("<p>{grants}</p>", grants=found["grants"]),
                _warning(request, found),
                html(
                    '<div class="row">{yes}{no}</div>',
                    yes=form.html("Approve", shape="inline"),
                    no=denial.html("Deny", kind="danger", shape="inline"),
                ),
            )
        ]
    )


def _warning(request: Request, found: dict[str, Any]) -> Markup:
    """What to look at before approving; louder if the device is somewhere else."""
    if found["asked_from"] == request.address:
        return html(
            "<p>Approve it only if you have begun this yourself and the device shows the same code."
            "</p>"
        )
    return html(
        '<div class="problem" role="alert"><strong>The device is at another address than you are'
        "</strong><p>If somebody has sent you this code or link, deny it: they would act as you. "
        "Approve it only if you have begun this yourself, on a machine of yours, and it shows the "
        "same code.</p></div>"
    )


def decide(request: Request) -> Redirect:
    """Approve or deny the sign-in."""
    verb = request.form.get("verdict", "")
    verb = verb if verb in _VERDICTS else "deny"
    body = {"user_code": request.form.get("user_code", "")}
    request.api.send("POST", f"{DEVICE}/{verb}", body)
    return Redirect(f"/console/device?verdict={_VERDICTS[verb]}")
