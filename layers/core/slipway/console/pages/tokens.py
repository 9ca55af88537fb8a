"""The caller's own tokens of the API."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Problem, path
from slipway.console.forms import Form, action_button, number
from slipway.console.markup import Markup, html, joined
from slipway.console.pages.members import TIERS
from slipway.console.pages.projects import PROJECTS, more
from slipway.console.request import Page, Redirect, Request

TOKENS = "/api/v1/auth/tokens"
ONE = "/api/v1/auth/tokens/{}"
_WHERE = "/console/tokens"
_KINDS = [
    ("ci", "CI: a pipeline"),
    ("agent", "Agent: a program that decides by itself; what destroys waits for a person"),
    ("personal", "Personal: your own scripts"),
]
_SCOPES = [
    ("read", "read: see everything"),
    ("deploy", "deploy: deploy versions"),
    ("environments", "environments: make and change environments"),
    ("destroy", "destroy: delete environments and projects"),
    ("config", "config: projects, variables and secrets"),
    ("templates", "templates: add and publish template versions"),
    ("members", "members: add and remove members"),
    ("tokens", "tokens: make further tokens, with less"),
]


def index(request: Request) -> Page:
    """The caller's tokens, and a form for another one."""
    query = {"cursor": request.query.get("cursor"), "limit": 50}
    answer = request.api.get(TOKENS, query=query)
    rows = [_row(request, each) for each in answer.data]
    heads = ("Name", "Kind", "Scopes", "Limited to", "Last used", "Ends", "")
    everything = Form(request, f"{_WHERE}/revoke-all")
    body = joined(
        [
            layout.section(
                "Your tokens",
                layout.table("Your tokens", heads, rows, "You have no tokens."),
                more(_WHERE, answer),
            ),
            _new(request, is_open=not rows),
            layout.folded(
                "Revoke all of them",
                everything.html("Revoke all tokens", kind="danger"),
                is_open=everything.problem is not None,
            ),
        ]
    )
    return Page("Tokens", body)


def _row(request: Request, token: dict[str, Any]) -> Markup:
    limits = [
        f"{len(token[field])} {word}{'' if len(token[field]) == 1 else 's'}"
        for field, word in (("project_ids", "project"), ("environment_ids", "environment"))
        if token[field]
    ]
    return layout.row(
        token["name"],
        token["kind"],
        ", ".join(token["scopes"]),
        ", ".join([*limits, *(token["tiers"] or ())]) or "nothing",
        moments.ago(token["last_used_at"]) or "never",
        moments.ago(token["expires_at"]),
        action_button(request, path(_WHERE + "/{}/revoke", token["id"]), "Revoke", kind="danger"),
    )


def _new(request: Request, *, is_open: bool) -> Markup:
    form = Form(request, _WHERE)
    form.text("name", "Name", required=True, placeholder="deploy from CI")
    form.choice("kind", "Kind", _KINDS, "ci")
    form.checks("scopes", "What it may do", _SCOPES, ("read", "deploy"))
    form.checks("project_ids", "Only in these projects", _projects(request), hint="None: in all.")
    form.checks(
        "tiers", "Only in these tiers", [(tier, tier) for tier in TIERS], hint="None: in all."
    )
    form.text(
        "expires_in_days", "Days until it ends", "90", inputmode="numeric", hint="365 at most."
    )
    return layout.folded(
        "New token", form.html("Create token"), is_open=is_open or form.problem is not None
    )


def _projects(request: Request) -> list[tuple[str, str]]:
    try:
        found = request.api.get(PROJECTS, query={"limit": 50}).data
    except Problem:
        return []
    return [(each["id"], each["name"]) for each in found]


def create(request: Request) -> Page:
    """Create a token, and show it once."""
    body: dict[str, Any] = {
        "name": request.form.get("name", "").strip(),
        "kind": request.form.get("kind", ""),
        "scopes": list(request.lists.get("scopes", ())),
        **{
            field: list(request.lists[field])
            for field in ("project_ids", "tiers")
            if request.lists.get(field)
        },
    }
    if days := request.form.get("expires_in_days", "").strip():
        body["expires_in_days"] = number(days)
    made = request.api.send("POST", TOKENS, body).data
    shown = html(
        "<p>This is the token <strong>{name}</strong>. It is shown only now: keep it where "
        'secrets are kept.</p><pre class="log" tabindex="0">{token}</pre>'
        "<p>Send it as <code>Authorization: Bearer …</code>, or set it as "
        '<code>SLIPWAY_TOKEN</code> for the command line.</p><p><a href="{to}">Go on</a></p>',
        name=made["name"],
        token=made["token"],
        to=_WHERE,
    )
    return Page("Your new token", shown, trail=[(_WHERE, "Tokens")])


def revoke(request: Request, token: str) -> Redirect:
    """Revoke one token."""
    request.api.send("DELETE", path(ONE, token))
    return Redirect(_WHERE, done="revoked")


def revoke_all(request: Request) -> Redirect:
    """Revoke all tokens of the caller."""
    request.api.send("DELETE", TOKENS)
    return Redirect(_WHERE, done="revoked")
