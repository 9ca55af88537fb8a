"""The members of a project, its invitations, and the workloads that it trusts."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path, required
from slipway.console.forms import Form, action_button, filled
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.pages.projects import PROJECT, author
from slipway.console.request import Page, Redirect, Request

MEMBERS = "/api/v1/projects/{}/members"
MEMBER = "/api/v1/projects/{}/members/{}"
TRUSTS = "/api/v1/projects/{}/trusts"
TRUST = "/api/v1/projects/{}/trusts/{}"
TIERS = ("preview", "staging", "production")
ROLES = [
    ("viewer", "Viewer: sees everything but secrets"),
    ("deployer", "Deployer: deploys, and makes previews"),
    ("maintainer", "Maintainer: makes, changes and destroys environments"),
    ("owner", "Owner: everything, also the project itself"),
]
_IN_A_TIER = [("", "The same role")] + [(role, role.capitalize()) for role, _ in ROLES[:-1]]


def index(request: Request, project_id: str) -> Page:
    """The members of a project, and the workloads that it trusts."""
    project, listed, trusted, permissions = request.api.get_all(
        path(PROJECT, project_id),
        path(MEMBERS, project_id),
        path(TRUSTS, project_id),
        path(PROJECT + "/permissions", project_id),
    )
    project, listed = required(project), required(listed)
    can = set() if isinstance(permissions, Problem) else set(permissions.data["can"])
    where = path("/console/projects/{}/members", project_id)
    body = joined(
        [
            layout.section("Who works on it", _members(listed, where)),
            _add(request, where) if "members:change" in can else NOTHING,
            _trusts(request, project_id, trusted, may_change="trusts:change" in can),
            _leave(request, project_id, listed, can),
        ]
    )
    trail = [("/console", "Projects"), (path("/console/projects/{}", project_id), _name(project))]
    return Page("Members", body, trail=trail)


def _name(project: Answer) -> str:
    return str(project.data["name"])


def _members(listed: Answer, where: str) -> Markup:
    rows = [
        layout.row(
            html(
                '<a href="{to}">{email}</a>', to=f"{where}/{member_id(each)}", email=each["email"]
            ),
            each["role"],
            _overrides(each),
            layout.state(each["status"]),
            html("{at} {by}", at=moments.ago(each["added_at"]), by=author(each["added_by"])),
        )
        for each in listed.data
    ]
    heads = ("Who", "Role", "In tiers", "State", "Added")
    return layout.table("Members", heads, rows, "Nobody.")


def member_id(member: dict[str, Any]) -> str:
    """The id of a member or an invitation."""
    return str(member["user_id"] or member["invitation_id"])


def _overrides(member: dict[str, Any]) -> str:
    return ", ".join(f"{role} in {tier}" for tier, role in member["overrides"].items())


def _add(request: Request, where: str) -> Markup:
    form = Form(request, where)
    form.text(
        "email",
        "E-mail",
        type="email",
        required=True,
        hint="If the address has no account, it is invited to register.",
    )
    form.choice("role", "Role", ROLES, "deployer")
    _tier_fields(form, {})
    return layout.folded("Add somebody", form.html("Add"), is_open=form.problem is not None)


def _tier_fields(form: Form, overrides: dict[str, str]) -> None:
    for tier in TIERS:
        form.choice(
            f"overrides.{tier}",
            f"Role in environments of the tier {tier}",
            _IN_A_TIER,
            overrides.get(tier, ""),
        )


def _wanted(request: Request) -> dict[str, Any]:
    """The role and the overrides that a form has."""
    overrides = {tier: request.form.get(f"overrides.{tier}", "") for tier in TIERS}
    return {
        "role": request.form.get("role", ""),
        "overrides": {tier: role for tier, role in overrides.items() if role},
    }


def add(request: Request, project_id: str) -> Page | Redirect:
    """Add a member, or show the link of an invitation, which is shown once."""
    body = {**filled(request, "email"), **_wanted(request)}
    made = request.api.send("POST", path(MEMBERS, project_id), body).data
    where = path("/console/projects/{}/members", project_id)
    if made["status"] == "active" or not made["invitation"]:
        return Redirect(where, done="added")
    return invited(request, made["email"], made["invitation"], (where, "Members"))


def invited(request: Request, email: str, invitation: str, back: tuple[str, str]) -> Page:
    """A page with an invitation's link, which is shown only once."""
    link = html("{base}/console/register?invitation={token}", base=request.base, token=invitation)
    body = html(
        "<p>{email} has no account yet, and the platform sends no mail. Send this link over a "
        "channel that you trust. It is shown only now, and it registers that address."
        '</p><pre class="log" tabindex="0">{link}</pre><p><a href="{to}">Go on</a></p>',
        email=email,
        link=link,
        to=back[0],
    )
    return Page("Invited", body, trail=[back])


# --- one member -----------------------------------------------------------------------------------


def show(request: Request, project_id: str, member: str) -> Page:
    """A member or an invitation, and the forms that change or remove it."""
    project, found, permissions = request.api.get_all(
        path(PROJECT, project_id),
        path(MEMBER, project_id, member),
        path(PROJECT + "/permissions", project_id),
    )
    project, data = required(project), required(found).data
    can = set() if isinstance(permissions, Problem) else set(permissions.data["can"])
    body = joined(
        [
            layout.facts(
                ("Role", data["role"]),
                ("In tiers", _overrides(data)),
                ("State", layout.state(data["status"])),
                ("Added", moments.ago(data["added_at"])),
                ("By", author(data["added_by"])),
                ("Invitation ends", moments.ago(data["expires_at"])),
            ),
            _changes(request, project_id, data) if "members:change" in can else NOTHING,
            _transfer(request, project_id, data) if "projects:transfer" in can else NOTHING,
        ]
    )
    where = path("/console/projects/{}", project_id)
    trail = [("/console", "Projects"), (where, _name(project)), (f"{where}/members", "Members")]
    return Page(data["email"], body, trail=trail)


def _changes(request: Request, project_id: str, member: dict[str, Any]) -> Markup:
    where = path("/console/projects/{}/members/{}", project_id, member_id(member))
    words = "Remove from the project" if member["user_id"] else "Revoke the invitation"
    removal = action_button(request, f"{where}/remove", words, kind="danger")
    if not member["user_id"]:
        return layout.section("Revoke it", removal)
    form = Form(request, where)
    form.choice("role", "Role", ROLES, member["role"])
    _tier_fields(form, member["overrides"])
    return joined(
        [layout.section("Change the role", form.html("Change")), layout.section("Remove", removal)]
    )


def _transfer(request: Request, project_id: str, member: dict[str, Any]) -> Markup:
    if not member["user_id"] or member["email"] == request.user.email:
        return NOTHING
    form = Form(
        request, path("/console/projects/{}/members/{}/transfer", project_id, member_id(member))
    )
    form.add(
        html(
            '<p class="hint">{email} becomes an owner, and the project counts in the quota of '
            "{email}. You stay a member.</p>",
            email=member["email"],
        )
    )
    return layout.section("Hand the project over", form.html("Hand it over", kind="danger"))


def change(request: Request, project_id: str, member: str) -> Redirect:
    """Change a member's role and overrides."""
    request.api.send(
        "PATCH",
        path(MEMBER, project_id, member),
        _wanted(request),
        key=request.form.get("key", ""),
    )
    return Redirect(path("/console/projects/{}/members", project_id), done="changed")


def remove(request: Request, project_id: str, member: str) -> Redirect:
    """Remove a member, or revoke an invitation."""
    request.api.send("DELETE", path(MEMBER, project_id, member))
    return Redirect(path("/console/projects/{}/members", project_id), done="removed")


def transfer(request: Request, project_id: str, member: str) -> Redirect:
    """Hand the project over to a member."""
    request.api.send(
        "POST",
        path(PROJECT + "/transfer", project_id),
        {"user_id": member},
        key=request.form.get("key", ""),
    )
    return Redirect(path("/console/projects/{}/members", project_id), done="handed-over")


def _leave(request: Request, project_id: str, listed: Answer, can: set[str]) -> Markup:
    if "members:leave" not in can or len(listed.data) < 2:
        return NOTHING
    form = Form(request, path("/console/projects/{}/leave", project_id))
    return layout.folded(
        "Leave the project",
        form.html("Leave it", kind="danger"),
        is_open=form.problem is not None,
    )


def leave(request: Request, project_id: str) -> Redirect:
    """Leave a project."""
    request.api.send("POST", path(PROJECT + "/leave", project_id))
    return Redirect("/console", done="left")


# --- workloads ------------------------------------------------------------------------------------


def _trusts(
    request: Request, project_id: str, trusted: Answer | Problem, *, may_change: bool
) -> Markup:
    if isinstance(trusted, Problem):
        # Only maintainers see them.
        return NOTHING
    where = path("/console/projects/{}/trusts", project_id)
    rows = [
        layout.row(
            each["name"] or each["id"],
            each["issuer"],
            joined(
                html("<code>{name}={value}</code> ", name=name, value=value)
                for name, value in each["claims"].items()
            ),
            ", ".join(each["scopes"]),
            ", ".join(each["tiers"] or ("all tiers",)),
            action_button(request, f"{where}/{each['id']}/remove", "Delete", kind="danger")
            if may_change
            else NOTHING,
        )
        for each in trusted.data
    ]
    return layout.section(
        "Workloads that it trusts",
        html(
            '<p class="quiet">Jobs of a CI system sign in with their own identity, without a '
            "stored secret. Add one with <code>POST {api}</code>.</p>",
            api=path(TRUSTS, project_id),
        ),
        layout.table(
            "Trusted workloads",
            ("Name", "Issuer", "Claims", "Scopes", "Tiers", ""),
            rows,
            "None.",
        ),
    )


def remove_trust(request: Request, project_id: str, trust: str) -> Redirect:
    """Delete a trust."""
    request.api.send("DELETE", path(TRUST, project_id, trust))
    return Redirect(path("/console/projects/{}/members", project_id), done="revoked")
