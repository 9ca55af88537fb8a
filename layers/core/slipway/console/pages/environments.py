"""An environment: its state, what happens in it, and what can be done with it."""

from __future__ import annotations

from typing import Any

from slipway.console import gantt, layout, moments
from slipway.console.api import Problem, path, required
from slipway.console.forms import Form
from slipway.console.markup import NOTHING, Markup, html, joined, link
from slipway.console.pages import environment_forms as forms
from slipway.console.pages import logs
from slipway.console.pages.deployments import failure_box, what
from slipway.console.pages.projects import PROJECT, author, more, time_left
from slipway.console.request import Page, Region, Request

ENVIRONMENT = "/api/v1/environments/{}"
QUEUE = "/api/v1/environments/{}/queue"
DEPLOYMENTS = "/api/v1/environments/{}/deployments"
EVENTS = "/api/v1/environments/{}/events"
RESOURCES = "/api/v1/environments/{}/resources"
DRIFT = "/api/v1/environments/{}/drift"
PERMISSIONS = "/api/v1/projects/{}/permissions"
MOVING = ("provisioning", "expiring", "tearing_down")
# While something happens, a region that shows more than one thing looks for changes of all.
_BUSY_SECONDS = 2


def show(request: Request, environment_id: str) -> Page:
    """An environment."""
    answer = request.api.get(path(ENVIRONMENT, environment_id))
    environment = answer.data
    id_, project_id = environment["id"], environment["project_id"]
    project, permissions, events = request.api.get_all(
        path(PROJECT, project_id),
        path(PERMISSIONS, project_id),
        path(EVENTS, id_) + "?limit=10",
    )
    can = None if isinstance(permissions, Problem) else set(permissions.data["can"])
    body = joined(
        [
            _summary(environment, answer.etag),
            _activity(request, environment),
            forms.held(request, environment),
            forms.changes(request, environment, can),
            layout.section(
                "Events",
                _events(required(events).data, id_),
                html('<p><a href="{to}">All events</a></p>', to=_below(id_, "events")),
            ),
        ]
    )
    name = project.data["name"] if not isinstance(project, Problem) else "Project"
    return Page(environment["name"], body, trail=_trail(project_id, name))


def summary(request: Request, environment_id: str) -> Region:
    """The environment's state, as soon as it has changed."""
    answer = request.follow(path(ENVIRONMENT, environment_id))
    return Region(_summary(answer.data, answer.etag))


def activity(request: Request, environment_id: str) -> Region:
    """What happens in the environment, as soon as something has."""
    kind, _, rest = request.live.partition(" ")
    id_, _, tag = rest.partition(" ")
    if kind == "deployment":
        logs.wait(request, path(logs.DEPLOYMENT, id_), tag, _BUSY_SECONDS)
    elif kind == "environment":
        logs.wait(request, path(logs.ENVIRONMENT, environment_id), tag, _BUSY_SECONDS)
    else:
        request.follow(path(QUEUE, environment_id), tag=rest)
    return Region(_activity(request, request.api.get(path(ENVIRONMENT, environment_id)).data))


def _below(environment_id: str, rest: str) -> str:
    return path("/console/environments/{}", environment_id) + f"/{rest}"


def _trail(project_id: str, name: str) -> list[tuple[str, str]]:
    return [("/console", "Projects"), (path("/console/projects/{}", project_id), name)]


def _summary(environment: dict[str, Any], tag: str) -> Markup:
    body = joined(
        [
            layout.panel(_facts(environment), time_left(environment)),
            failure_box(environment["failure"]),
            _in_doubt(environment),
            _values("Inputs", environment["inputs"]),
            _values("Outputs", environment["outputs"]),
        ]
    )
    tag = "" if environment["status"] == "destroyed" else tag
    return layout.live("summary", _below(environment["id"], "summary"), tag, body)


def _facts(environment: dict[str, Any]) -> Markup:
    live, live_id = environment["live_version"], environment["live_deployment_id"]
    if live and live_id:
        to = path("/console/deployments/{}", live_id)
        live = html('<a href="{to}">{live}</a>', to=to, live=live)
    pinned, execution = environment["pinned"], environment["execution_url"]
    protected = "Its name must be given to destroy it." if environment["protected"] else None
    return layout.facts(
        ("State", layout.state(environment["status"])),
        ("URL", link(environment["base_url"])),
        ("Live version", live),
        ("Tier", environment["tier"]),
        ("Protected", protected),
        ("Template", environment["template"]),
        ("Pinned", f"{pinned['reason']} ({author(pinned['by'])})" if pinned else None),
        ("Created", moments.ago(environment["created_at"])),
        ("By", author(environment["created_by"])),
        ("External id", environment["external_id"]),
        ("Labels", ", ".join(f"{k}={v}" for k, v in environment["labels"].items())),
        ("Id", html("<code>{id}</code>", id=environment["id"])),
        ("Execution", link(execution, "in the Step Functions console") if execution else None),
    )


def _in_doubt(environment: dict[str, Any]) -> Markup:
    if not environment["live_in_doubt"]:
        return NOTHING
    return html(
        '<div class="problem"><strong>What runs is uncertain</strong><p>A deployment failed and '
        "could not be rolled back. The next one that succeeds ends the doubt.</p></div>"
    )


def _values(title: str, values: dict[str, str] | None) -> Markup:
    if not values:
        return NOTHING
    rows = [
        layout.row(
            name, link(value) if value.startswith("http") else html("<code>{v}</code>", v=value)
        )
        for name, value in values.items()
    ]
    return layout.folded(title, layout.table(title, ("Name", "Value"), rows, ""))


def _activity(request: Request, environment: dict[str, Any]) -> Markup:
    """The rollout or the work on the environment that goes on, the queue, and what was before."""
    id_ = environment["id"]
    queue, recent = (
        required(each)
        for each in request.api.get_all(path(QUEUE, id_), path(DEPLOYMENTS, id_) + "?limit=5")
    )
    running = [each for each in queue.data if each["status"] == "running"]
    if running:
        picture, tag = _rollout(request, running[0])
    elif environment["status"] in MOVING:
        picture, tag = _work(request, environment)
    else:
        picture, tag = NOTHING, f"queue {queue.etag}"
    if environment["status"] == "destroyed":
        tag = ""
    waiting = [each for each in queue.data if each["status"] == "pending"]
    body = joined(
        [
            picture,
            _queue(request, waiting),
            layout.section("Deployments", _recent(recent.data)),
        ]
    )
    return layout.live("activity", _below(id_, "activity"), tag, body)


def _rollout(request: Request, deployment: dict[str, Any]) -> tuple[Markup, str]:
    id_ = deployment["id"]
    log = logs.read(request, path(logs.DEPLOYMENT, id_))
    title = html(
        '<p><a href="{to}">{what}</a> by {by}, {ago}</p>',
        to=path("/console/deployments/{}", id_),
        what=what(deployment),
        by=author(deployment["created_by"]),
        ago=moments.ago(deployment["started_at"]),
    )
    picture = layout.section(
        "Rollout",
        title,
        gantt.picture(gantt.of_lines(log.lines, None)),
        logs.shown(log.lines, "Log of the rollout", "It has no line yet."),
    )
    return picture, f"deployment {id_} {log.tag or _NEVER}"


def _work(request: Request, environment: dict[str, Any]) -> tuple[Markup, str]:
    log = logs.read(request, path(logs.ENVIRONMENT, environment["id"]))
    titles = {"provisioning": "It is being created", "expiring": "Its time is up"}
    picture = layout.section(
        titles.get(environment["status"], "It is being destroyed"),
        gantt.picture(gantt.of_lines(log.lines, None)),
        logs.shown(log.lines, "Log of the environment", "It has no line yet."),
    )
    return picture, f"environment {environment['id']} {log.tag or _NEVER}"


_NEVER = ' "-"'


def _queue(request: Request, waiting: list[dict[str, Any]]) -> Markup:
    if not waiting:
        return NOTHING
    rows = []
    for each in waiting:
        action = path("/console/deployments/{}/cancel", each["id"])
        form = Form(request, action)
        form.hidden("back", "environment")
        rows.append(
            layout.row(
                html(
                    '<a href="{to}">{what}</a>',
                    to=path("/console/deployments/{}", each["id"]),
                    what=what(each),
                ),
                author(each["created_by"]),
                moments.ago(each["created_at"]),
                form.html("Cancel", kind="danger", shape="inline"),
            )
        )
    heads = ("Waiting", "By", "Since", "")
    return layout.section("Queue", layout.table("Queue", heads, rows, ""))


def _recent(deployments: list[dict[str, Any]]) -> Markup:
    rows = [
        layout.row(
            html(
                '<a href="{to}">{what}</a>',
                to=path("/console/deployments/{}", each["id"]),
                what=what(each),
            ),
            layout.state(each["status"]),
            author(each["created_by"]),
            moments.ago(each["created_at"]),
        )
        for each in deployments
    ]
    heads = ("Version", "State", "By", "Created")
    return layout.table("Deployments", heads, rows, "Nothing has been deployed yet.")


def _events(found: list[dict[str, Any]], environment_id: str) -> Markup:
    rows = []
    for each in found:
        change = f"{each['from'] or ''} → {each['to']}" if each["to"] else ""
        subject: Any = "environment"
        if each["subject"] != environment_id:
            to = path("/console/deployments/{}", each["subject"])
            subject = html('<a href="{to}">deployment</a>', to=to)
        rows.append(
            layout.row(
                moments.ago(each["at"]),
                subject,
                each["action"].replace("_", " "),
                change.strip(" "),
                author(each["by"]) or each["actor"],
                each["reason"],
            )
        )
    heads = ("When", "What", "Action", "State", "By", "Why")
    return layout.table("Events", heads, rows, "Nothing has happened yet.")


def events(request: Request, environment_id: str) -> Page:
    """All events of an environment."""
    where = path(EVENTS, environment_id)
    answer = request.api.get(where, query={"limit": 100, "cursor": request.query.get("cursor")})
    body = joined(
        [_events(answer.data, environment_id), more(_below(environment_id, "events"), answer)]
    )
    trail = [
        ("/console", "Projects"),
        (path("/console/environments/{}", environment_id), "Environment"),
    ]
    return Page("Events", body, trail=trail)


def resources(request: Request, environment_id: str) -> Page:
    """What an environment consists of, and whether somebody changed it by hand."""
    found, drift = request.api.get_all(path(RESOURCES, environment_id), path(DRIFT, environment_id))
    rows = [
        layout.row(
            each["logical_id"],
            each["type"],
            html("<code>{id}</code>", id=each["physical_id"] or ""),
            each["status"].replace("_", " ").lower(),
            moments.ago(each["updated_at"]),
        )
        for each in required(found).data
    ]
    heads = ("Name", "Type", "Physical id", "State", "Changed")
    body = joined(
        [
            layout.section("Resources", layout.table("Resources", heads, rows, "It has none.")),
            layout.section("Drift", _drift(request, environment_id, drift)),
        ]
    )
    trail = [
        ("/console", "Projects"),
        (path("/console/environments/{}", environment_id), "Environment"),
    ]
    return Page("Resources", body, trail=trail)


def _drift(request: Request, environment_id: str, drift: Any) -> Markup:
    form = Form(request, _below(environment_id, "drift"))
    if isinstance(drift, Problem):
        return html("<p>{detail}</p>", detail=drift.detail)
    found = drift.data
    rows = [
        layout.row(each["logical_id"], each["type"], each["status"].replace("_", " "))
        for each in found["resources"]
    ]
    return html(
        "{facts}{table}{form}",
        facts=layout.facts(
            ("State", layout.state(found["status"])),
            ("Checked", moments.ago(found["checked_at"])),
            ("Not checked", found["reason"]),
        ),
        table=layout.table(
            "Drift", ("Name", "Type", "State"), rows, "No resource was checked yet."
        ),
        form=form.html("Check now", kind="plain"),
    )
