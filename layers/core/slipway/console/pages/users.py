"""For administrators: the users of the platform, and its invitations."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path, required
from slipway.console.forms import Form, action_button, filled
from slipway.console.markup import Markup, html, joined
from slipway.console.pages.members import invited
from slipway.console.pages.projects import more
from slipway.console.request import Page, Redirect, Request

USERS = "/api/v1/users"
USER = "/api/v1/users/{}"
INVITATIONS = "/api/v1/invitations"
INVITATION = "/api/v1/invitations/{}"
_WHERE = "/console/users"
_ROLES = [
    ("member", "Member: has projects"),
    ("publisher", "Publisher: also publishes templates"),
    ("admin", "Administrator: also manages users"),
]


def index(request: Request) -> Page:
    """All users, and the open invitations."""
    query = {"cursor": request.query.get("cursor"), "limit": 50}
    answer = request.api.get(USERS, query=query)
    try:
        open_ones: Answer | Problem = request.api.get(INVITATIONS, query={"limit": 100})
    except Problem as problem:
        open_ones = problem
    rows = [
        layout.row(
            html(
                '<a href="{to}">{email}</a>',
                to=path(_WHERE + "/{}", each["id"]),
                email=each["email"],
            ),
            each["platform_role"],
            layout.state(each["status"]),
            moments.ago(each["email_verified_at"]) or "never",
            moments.ago(each["created_at"]),
        )
        for each in answer.data
    ]
    heads = ("E-mail", "Role", "State", "Address proved", "Since")
    body = joined(
        [
            layout.section(
                "Users", layout.table("Users", heads, rows, "None."), more(_WHERE, answer)
            ),
            layout.section("Invitations", _invitations(request, open_ones), _invite(request)),
        ]
    )
    return Page("Users", body)


def _invitations(request: Request, found: Answer | Problem) -> Markup:
    if isinstance(found, Problem):
        return layout.problem_page(found).body
    rows = [
        layout.row(
            each["email"],
            each["platform_role"],
            moments.ago(each["expires_at"]),
            action_button(
                request,
                path("/console/invitations/{}/revoke", each["id"]),
                "Revoke",
                kind="danger",
            ),
        )
        for each in found.data
    ]
    heads = ("E-mail", "Role", "Ends", "")
    return layout.table("Invitations", heads, rows, "No invitation is open.")


def _invite(request: Request) -> Markup:
    form = Form(request, "/console/invitations")
    form.text("email", "E-mail", type="email", required=True)
    form.choice("platform_role", "Role", _ROLES, "member")
    return layout.folded("Invite somebody", form.html("Invite"), is_open=form.problem is not None)


def invite(request: Request) -> Page | Redirect:
    """Invite an address, and show the link if no mail is sent."""
    body = filled(request, "email", "platform_role")
    made = request.api.send("POST", INVITATIONS, body).data
    if not made["invitation"]:
        return Redirect(_WHERE, done="added")
    return invited(request, made["email"], made["invitation"], (_WHERE, "Users"))


def revoke_invitation(request: Request, invitation: str) -> Redirect:
    """Revoke an invitation."""
    request.api.send("DELETE", path(INVITATION, invitation))
    return Redirect(_WHERE, done="revoked")


# --- one user -------------------------------------------------------------------------------------


def show(request: Request, user: str) -> Page:
    """A user, and what an administrator can do."""
    found, quotas = request.api.get_all(path(USER, user), path(USER + "/quotas", user))
    data = required(found).data
    if "platform_role" not in data:
        # Those who are no administrators see only the address.
        return Page(data["email"], layout.facts(("E-mail", data["email"])))
    where = path(_WHERE + "/{}", user)
    is_active = data["status"] == "active"
    body = joined(
        [
            layout.facts(
                ("Role", data["platform_role"]),
                ("State", layout.state(data["status"])),
                ("Address proved", moments.ago(data["email_verified_at"]) or "never"),
                ("Since", moments.ago(data["created_at"])),
                ("Id", data["id"]),
            ),
            layout.section("Quotas", _quotas(quotas)),
            _role(request, where, data),
            layout.section(
                "Password",
                html('<p class="hint">A link that sets a new password, once.</p>'),
                action_button(request, f"{where}/password", "Make a link"),
            ),
            _disabling(request, where) if is_active else _disabled(request, where, data),
        ]
    )
    return Page(data["email"], body, trail=[(_WHERE, "Users")])


def _quotas(found: Answer | Problem) -> Markup:
    if isinstance(found, Problem):
        return layout.problem_page(found).body
    rows = [
        layout.row(
            each["name"],
            html(
                '<label>{used} of {limit} <meter min="0" max="{limit}" high="{high}" optimum="0" '
                'value="{used}"></meter></label>',
                used=each["used"],
                limit=each["limit"],
                high=each["limit"] * 0.8,
            ),
            html("<code>{name}</code>", name=each["parameter"]),
        )
        for each in found.data["quotas"]
    ]
    heads = ("What", "In use", "The stack's parameter that limits it")
    return layout.table("Quotas", heads, rows, "None.")


def _role(request: Request, where: str, data: dict[str, Any]) -> Markup:
    form = Form(request, f"{where}/role")
    form.choice("platform_role", "Role on the platform", _ROLES, data["platform_role"])
    return layout.section("Role", form.html("Change the role", kind="plain"))


def _disabling(request: Request, where: str) -> Markup:
    hint = "All sessions and tokens end with the next request. Projects and environments stay."
    return layout.section(
        "Disable",
        html('<p class="hint">{hint}</p>', hint=hint),
        action_button(request, f"{where}/disable", "Disable the user", kind="danger"),
    )


def _disabled(request: Request, where: str, data: dict[str, Any]) -> Markup:
    over = Form(request, f"{where}/hand-over")
    over.text("user_id", "To the user with the id", placeholder="usr_…", required=True)
    return joined(
        [
            layout.section("Enable", action_button(request, f"{where}/enable", "Enable the user")),
            layout.section(
                "Hand the projects over", over.html("Hand all projects over", kind="danger")
            ),
            layout.section(
                "Delete",
                html('<p class="hint">Only if no project is left.</p>'),
                action_button(request, f"{where}/delete", "Delete the user", kind="danger"),
            ),
        ]
    )


def change_role(request: Request, user: str) -> Redirect:
    """Change a user's role on the platform."""
    body = filled(request, "platform_role")
    request.api.send("PATCH", path(USER, user), body, key=request.form.get("key", ""))
    return Redirect(path(_WHERE + "/{}", user), done="changed")


def disable(request: Request, user: str) -> Redirect:
    """Disable a user."""
    request.api.send("POST", path(USER + "/disable", user), key=request.form.get("key", ""))
    return Redirect(path(_WHERE + "/{}", user), done="disabled")


def enable(request: Request, user: str) -> Redirect:
    """Enable a user."""
    request.api.send("POST", path(USER + "/enable", user), key=request.form.get("key", ""))
    return Redirect(path(_WHERE + "/{}", user), done="enabled")


def hand_over(request: Request, user: str) -> Redirect:
    """Hand a disabled user's projects over."""
    request.api.send("POST", path(USER + "/hand-over", user), filled(request, "user_id"))
    return Redirect(path(_WHERE + "/{}", user), done="handed-over")


def remove(request: Request, user: str) -> Redirect:
    """Delete a disabled user."""
    request.api.send("DELETE", path(USER, user))
    return Redirect(_WHERE, done="deleted")


def password(request: Request, user: str) -> Page | Redirect:
    """Make a link that sets a user's password, and show it if no mail is sent."""
    made = request.api.send("POST", path(USER + "/password-reset", user)).data
    where = path(_WHERE + "/{}", user)
    if not made["reset"]:
        return Redirect(where, done="sent")
    body = html(
        "<p>Send this to the user over a channel that you trust. It works once, and ends {at}."
        '</p><pre class="log" tabindex="0">{token}</pre>'
        "<p>The user sends it with the new password: <code>POST /api/v1/auth/password-reset"
        "</code></p>"
        '<p><a href="{to}">Go on</a></p>',
        at=moments.full(made["expires_at"]),
        token=made["reset"],
        to=where,
    )
    return Page("A new password", body, trail=[(_WHERE, "Users")])
