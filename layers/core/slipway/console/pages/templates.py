"""Templates: the list, one with its versions, and one version."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path, required
from slipway.console.forms import Form, filled
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.pages.projects import author, more
from slipway.console.request import Page, Redirect, Request

TEMPLATES = "/api/v1/templates"
TEMPLATE = "/api/v1/templates/{}"
VERSIONS = "/api/v1/templates/{}/versions"
VERSION = "/api/v1/templates/{}/versions/{}"
TRAIL = ("/console/templates", "Templates")
_EXAMPLE = """Resources:
  Jobs: {Type: AWS::SQS::Queue}
"""


def index(request: Request) -> Page:
    """All templates, and a form for another one."""
    answer = request.api.get(TEMPLATES, query={"cursor": request.query.get("cursor"), "limit": 50})
    cards = [
        html(
            '<li class="card"><h2><a href="{to}">{name}</a></h2><p>{about}</p>'
            '<p class="quiet">Created {at} by {by}</p></li>',
            to=path("/console/templates/{}", each["name"]),
            name=each["name"],
            about=each["description"] or "",
            at=moments.ago(each["created_at"]),
            by=author(each["created_by"]),
        )
        for each in answer.data
    ]
    first = html(
        "<p>A template says what an environment consists of, as plain CloudFormation or SAM. There "
        "is none yet: create the first one.</p>"
    )
    body = html(
        "{first}{cards}{more}{form}",
        first=NOTHING if cards else first,
        cards=html('<ul class="cards">{cards}</ul>', cards=cards) if cards else NOTHING,
        more=more("/console/templates", answer),
        form=_new(request, is_open=not cards),
    )
    return Page("Templates", body)


def _new(request: Request, *, is_open: bool) -> Markup:
    form = Form(request, "/console/templates")
    form.text(
        "name",
        "Name",
        required=True,
        maxlength=63,
        placeholder="web-service",
        hint="Lower-case letters, digits and hyphens. It never changes.",
    )
    form.text("description", "Description")
    return layout.folded(
        "New template", form.html("Create template"), is_open=is_open or form.problem is not None
    )


def create(request: Request) -> Redirect:
    """Create a template, and go to it."""
    wanted = filled(request, "name", "description")
    made = request.api.send("POST", TEMPLATES, wanted, key=request.form.get("key", ""))
    return Redirect(path("/console/templates/{}", made.data["name"]), done="created")


# --- one template ---------------------------------------------------------------------------------


def show(request: Request, template: str) -> Page:
    """A template: its versions, the environments that use it, and what its owner can do."""
    found, listed, usage, uses = request.api.get_all(
        path(TEMPLATE, template),
        path(VERSIONS, template) + "?limit=50",
        path(TEMPLATE + "/usage", template),
        path(TEMPLATE + "/environments", template) + "?limit=50",
    )
    data = required(found).data
    body = html(
        "{about}{versions}{add}{usage}{change}",
        about=layout.facts(
            ("About", data["description"]),
            ("Owner", author(data["created_by"])),
            ("Created", moments.ago(data["created_at"])),
        ),
        versions=layout.section("Versions", _versions(template, listed)),
        add=_add(request, template, is_first=isinstance(listed, Answer) and not listed.data),
        usage=layout.section("Environments", _usage(usage), _uses(uses)),
        change=_change(request, data),
    )
    return Page(template, body, trail=[TRAIL])


def _versions(template: str, listed: Answer | Problem) -> Markup:
    if isinstance(listed, Problem):
        return layout.problem_page(listed).body
    rows = [
        layout.row(
            html(
                '<a href="{to}">{number}</a>',
                to=path("/console/templates/{}/versions/{}", template, each["version"]),
                number=each["version"],
            ),
            layout.state(each["state"]),
            _count(len(each["warnings"]), "warning"),
            moments.ago(each["published_at"] or each["created_at"]),
            author(each["created_by"]),
        )
        for each in listed.data
    ]
    heads = ("Version", "State", "Warnings", "Since", "By")
    return layout.table("Versions", heads, rows, "There is no version yet.")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}" if number else ""


def _add(request: Request, template: str, *, is_first: bool) -> Markup:
    form = Form(request, path("/console/templates/{}/versions", template))
    form.text(
        "version",
        "Version",
        placeholder="1.0",
        hint="The next minor version if empty. A major version may break its environments.",
    )
    form.area(
        "body",
        "Body",
        _EXAMPLE if is_first else "",
        rows=16,
        required=True,
        spellcheck="false",
        hint="A CloudFormation or SAM template, in YAML or JSON. It starts as a draft.",
    )
    return layout.folded(
        "Add a version", form.html("Add as a draft"), is_open=is_first or form.problem is not None
    )


def add(request: Request, template: str) -> Redirect:
    """Add a version, and go to it."""
    made = request.api.send(
        "POST",
        path(VERSIONS, template),
        body(request),
        query=filled(request, "version"),
        key=request.form.get("key", ""),
        media=media(request),
    )
    return Redirect(
        path("/console/templates/{}/versions/{}", template, made.data["version"]), done="added"
    )


def body(request: Request) -> bytes:
    """The body of a version, as somebody has typed it."""
    # Browsers end the lines of a field with CR and LF.
    return request.form.get("body", "").replace("\r\n", "\n").encode()


def media(request: Request) -> str:
    """The media type of that body."""
    return "application/json" if body(request).lstrip()[:1] == b"{" else "application/yaml"


def _usage(usage: Answer | Problem) -> Markup:
    if isinstance(usage, Problem):
        return layout.problem_page(usage).body
    data = usage.data
    return layout.facts(
        ("Newest version", data["newest"]),
        ("Up to date", str(data["up_to_date"])),
        ("Behind a minor version", str(data["behind_minor"])),
        ("Behind a major version", str(data["behind_major"])),
        ("Failed", str(data["failed"])),
    )


def _uses(uses: Answer | Problem) -> Markup:
    if isinstance(uses, Problem):
        return layout.problem_page(uses).body
    rows = [
        layout.row(
            html(
                '<a href="{to}">{name}</a>',
                to=path("/console/environments/{}", each["environment_id"]),
                name=each["name"],
            ),
            each["version"],
            layout.state(each["status"]),
            each["standing"].replace("_", " "),
        )
        for each in uses.data
    ]
    heads = ("Environment", "Version", "State", "Standing")
    return layout.table(
        "Environments", heads, rows, "No environment in your projects is made from it."
    )


def _change(request: Request, template: dict[str, Any]) -> Markup:
    where = path("/console/templates/{}", template["name"])
    form = Form(request, f"{where}/description")
    form.text("description", "Description", template["description"] or "")
    removal = Form(request, f"{where}/delete", part="delete")
    removal.text(
        "confirm",
        "Its name",
        autocomplete="off",
        hint="Type the template's name. A template that an environment uses cannot be deleted.",
    )
    problems = form.problem is not None or removal.problem is not None
    return layout.folded(
        "Change or delete it",
        joined(
            [
                form.html("Change the description", kind="plain"),
                html("<hr>"),
                removal.html("Delete the template and its versions", kind="danger"),
            ]
        ),
        is_open=problems,
    )


def change(request: Request, template: str) -> Redirect:
    """Change the description."""
    body = {"description": request.form.get("description", "").strip() or None}
    request.api.send("PATCH", path(TEMPLATE, template), body, key=request.form.get("key", ""))
    return Redirect(path("/console/templates/{}", template), done="changed")


def remove(request: Request, template: str) -> Redirect:
    """Delete the template and its versions."""
    confirmed = request.form.get("confirm", "").strip()
    if confirmed != template:
        raise not_confirmed(template, confirmed)
    request.api.send("DELETE", path(TEMPLATE, template), headers={"X-Confirm": confirmed})
    return Redirect("/console/templates", done="deleted")


def not_confirmed(name: str, given: str) -> Problem:
    """The refusal of a form whose name was typed wrongly: the API would not ask in each case."""
    detail = f"is not {name}" if given else f"is required: type {name}"
    return Problem(
        409, "confirmation_required", "The name does not match", "", [("#/confirm", detail)]
    )
