"""Projects: the list, and one with its environments."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path
from slipway.console.forms import Form, filled
from slipway.console.markup import NOTHING, Markup, html, link
from slipway.console.request import Page, Redirect, Region, Request

PROJECTS = "/api/v1/projects"
PROJECT = "/api/v1/projects/{}"
ENVIRONMENTS = "/api/v1/projects/{}/environments"


def index(request: Request) -> Page:
    """The projects of the person who is signed in, and a form for another one."""
    answer = request.api.get(PROJECTS, query={"cursor": request.query.get("cursor"), "limit": 50})
    cards = [
        html(
            '<li class="card"><h2><a href="{to}">{name}</a></h2><p>{about}</p>'
            '<p class="quiet">Created {at}</p></li>',
            to=path("/console/projects/{}", each["id"]),
            name=each["name"],
            about=each["description"] or "",
            at=moments.ago(each["created_at"]),
        )
        for each in answer.data
    ]
    form = Form(request, "/console/projects")
    form.text("name", "Name", required=True, maxlength=100, placeholder="payments")
    form.text("description", "Description")
    form.text("repo_url", "Repository", placeholder="https://github.com/acme/payments")
    first = html(
        "<p>A project holds the environments of one application. You have none yet: "
        "create your first one.</p>"
    )
    body = html(
        "{first}{cards}{more}{form}",
        first=NOTHING if cards else first,
        cards=html('<ul class="cards">{cards}</ul>', cards=cards) if cards else NOTHING,
        more=more("/console", answer),
        form=layout.folded(
            "New project",
            form.html("Create project"),
            is_open=not cards or form.problem is not None,
        ),
    )
    return Page("Projects", body)


def create(request: Request) -> Redirect:
    """Create a project, and go to it."""
    body = filled(request, "name", "description", "repo_url")
    made = request.api.send("POST", PROJECTS, body, key=request.form.get("key", ""))
    return Redirect(path("/console/projects/{}", made.data["id"]), done="created")


def show(request: Request, project_id: str) -> Page:
    """A project and its environments."""
    found, listed = request.api.get_all(
        path(PROJECT, project_id), path(ENVIRONMENTS, project_id) + "?limit=50"
    )
    if isinstance(found, Problem):
        raise found
    if isinstance(listed, Problem):
        raise listed
    project = found.data
    body = html(
        "{about}{environments}",
        about=layout.facts(
            ("About", project["description"]),
            ("Repository", link(project["repo_url"])),
            ("Created", moments.ago(project["created_at"])),
        ),
        environments=layout.section("Environments", _environments(project_id, listed)),
    )
    actions = html(
        '<a class="button" href="{to}/new">New environment</a> <a href="{to}/members">Members</a> '
        '<a href="{to}/variables/all">Variables</a> '
        '<a href="{to}/audit">Audit</a> <a href="{to}/settings">Settings</a>',
        to=path("/console/projects/{}", project_id),
    )
    return Page(project["name"], body, trail=[("/console", "Projects")], actions=actions)


def environments(request: Request, project_id: str) -> Region:
    """The project's environments, as soon as one of them has changed."""
    return Region(
        _environments(project_id, request.follow(path(ENVIRONMENTS, project_id), limit=50))
    )


def _environments(project_id: str, answer: Answer) -> Markup:
    cards = [_card(each) for each in answer.data]
    body = html('<ul class="cards">{cards}</ul>', cards=cards) if cards else _no_environments()
    where = path("/console/projects/{}/environments", project_id)
    return layout.live("environments", where, answer.etag, body)


def _no_environments() -> Markup:
    return html("<p>There is no environment yet.</p>")


def _card(environment: dict[str, Any]) -> Markup:
    """One environment: its state, what is live, how long it lives, who made it."""
    return html(
        '<li class="card"><h3><a href="{to}">{name}</a> {state}</h3>{facts}{left}</li>',
        to=path("/console/environments/{}", environment["id"]),
        name=environment["name"],
        state=layout.state(environment["status"]),
        facts=layout.facts(
            ("Live version", environment["live_version"]),
            ("URL", link(environment["base_url"])),
            ("Template", environment["template"]),
            ("Tier", environment["tier"]),
            ("Created", moments.ago(environment["created_at"])),
            ("By", author(environment["created_by"])),
        ),
        left=time_left(environment),
    )


def author(by: dict[str, Any] | None) -> str:
    """Who has done something."""
    if not by:
        return ""
    return str(by.get("email") or by.get("name") or by.get("id") or "")


def time_left(environment: dict[str, Any]) -> Markup:
    """The time that is left of a lease, as a bar and in words."""
    ends = environment["expires_at"]
    if environment["pinned"]:
        return html('<p class="quiet">Pinned: it does not expire.</p>')
    if not ends or environment["status"] in ("destroyed", "tearing_down"):
        return NOTHING
    total = max(float(environment["ttl_hours"] or 0) * 3600, 1.0)
    left = (moments.read(ends) - moments.now()).total_seconds()
    return html(
        '<p class="left"><label>Ends {when} <meter min="0" max="{total}" low="{low}" '
        'optimum="{total}" value="{left}">{left} s</meter></label></p>',
        when=moments.ago(ends),
        total=round(total),
        low=round(total / 5),
        left=round(min(max(left, 0), total)),
    )


def more(where: str, answer: Answer) -> Markup:
    """A link to the next page of a list."""
    if not answer.next_cursor:
        return NOTHING
    return html(
        '<p><a href="{where}?cursor={cursor}">Show more</a></p>',
        where=where,
        cursor=answer.next_cursor,
    )
