"""A project's own fields, its policy for leases, and its deletion."""

from __future__ import annotations

from typing import Any

from slipway.console import layout
from slipway.console.api import path
from slipway.console.forms import Form, number
from slipway.console.markup import html, joined
from slipway.console.pages.projects import PROJECT
from slipway.console.pages.templates import not_confirmed
from slipway.console.request import Page, Redirect, Request

_WHERE = "/console/projects/{}/settings"
_MODES = [
    ("absolute", "At a fixed time"),
    ("idle", "When nothing was deployed for that long"),
]


def show(request: Request, project_id: str) -> Page:
    """The forms that change or delete a project."""
    data = request.api.get(path(PROJECT, project_id)).data
    trail = [("/console", "Projects"), (path("/console/projects/{}", project_id), data["name"])]
    body = joined(
        [
            layout.section("The project", _fields(request, data)),
            layout.section("Delete it", _deletion(request, data)),
        ]
    )
    return Page("Settings", body, trail=trail)


def _fields(request: Request, data: dict[str, Any]) -> Any:
    policy = data["policy"] or {}
    form = Form(request, path(_WHERE, data["id"]))
    form.text("name", "Name", data["name"], required=True, maxlength=100)
    form.text("description", "Description", data["description"] or "")
    form.text("repo_url", "Repository", data["repo_url"] or "")
    form.open_group("Ephemeral environments")
    form.text(
        "policy.default_ttl_hours",
        "Hours to live, if nothing else is said",
        _hours(policy.get("default_ttl_hours")),
        inputmode="decimal",
    )
    form.text(
        "policy.max_ttl_hours",
        "Hours to live, at most",
        _hours(policy.get("max_ttl_hours")),
        inputmode="decimal",
    )
    form.choice("policy.expiry_mode", "They end", _MODES, policy.get("expiry_mode") or "absolute")
    form.close_group()
    return form.html("Change")


def _hours(given: float | None) -> str:
    return f"{given:g}" if given else ""


def _deletion(request: Request, data: dict[str, Any]) -> Any:
    form = Form(request, path(_WHERE, data["id"]) + "/delete", part="delete")
    form.add(
        html(
            '<p class="hint">All its environments are destroyed first, with everything in them. '
            "Nothing of it can be brought back.</p>"
        )
    )
    form.text("confirm", "Its name", autocomplete="off", hint="Type the project's name.")
    return form.html("Delete the project", kind="danger")


def change(request: Request, project_id: str) -> Redirect:
    """Change a project."""
    given = {name: request.form.get(name, "").strip() for name in ("description", "repo_url")}
    policy: dict[str, Any] = {"expiry_mode": request.form.get("policy.expiry_mode", "absolute")}
    for name in ("default_ttl_hours", "max_ttl_hours"):
        if text := request.form.get(f"policy.{name}", "").strip():
            policy[name] = number(text)
    before = request.api.get(path(PROJECT, project_id))
    # The form does not have it.
    if warns := (before.data["policy"] or {}).get("warn_before_hours"):
        policy["warn_before_hours"] = warns
    body = {
        "name": request.form.get("name", "").strip(),
        **{name: value or None for name, value in given.items()},
        "policy": policy,
    }
    request.api.send(
        "PATCH",
        path(PROJECT, project_id),
        body,
        headers={"If-Match": before.etag},
        key=request.form.get("key", ""),
    )
    return Redirect(path("/console/projects/{}", project_id), done="changed")


def remove(request: Request, project_id: str) -> Redirect:
    """Delete a project, and destroy its environments first."""
    name = request.api.get(path(PROJECT, project_id)).data["name"]
    confirmed = request.form.get("confirm", "").strip()
    if confirmed != name:
        raise not_confirmed(name, confirmed)
    request.api.send(
        "DELETE",
        path(PROJECT, project_id),
        query={"cascade": "true"},
        headers={"X-Confirm": confirmed},
    )
    return Redirect("/console", done="deleted")
