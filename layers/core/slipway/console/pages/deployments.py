"""A deployment: its state, the picture of its rollout, and its log."""

from __future__ import annotations

from typing import Any

from slipway.console import gantt, layout, moments
from slipway.console.api import Answer, Problem, path
from slipway.console.forms import action_button
from slipway.console.markup import NOTHING, Markup, html, joined, link
from slipway.console.pages import logs
from slipway.console.pages.projects import author
from slipway.console.request import Page, Redirect, Region, Request

DEPLOYMENT = "/api/v1/deployments/{}"
TIMELINE = "/api/v1/deployments/{}/timeline"
ENDED = ("succeeded", "rolled_back", "failed", "canceled", "superseded")


def show(request: Request, deployment_id: str) -> Page:
    """A deployment."""
    answer = request.api.get(path(DEPLOYMENT, deployment_id))
    deployment = answer.data
    environment = path("/console/environments/{}", deployment["environment_id"])
    trail = [
        ("/console", "Projects"),
        (path("/console/projects/{}", deployment["project_id"]), "Project"),
        (environment, deployment["environment_name"] or "Environment"),
    ]
    return Page(f"Deployment of {what(deployment)}", _region(request, answer), trail=trail)


def what(deployment: dict[str, Any]) -> str:
    """What a deployment brings, in a few words."""
    if deployment["template"] and deployment["trigger"] == "update":
        return f"the update to {deployment['template']}"
    if deployment["trigger"] == "update":
        return "an update of inputs"
    return str(deployment["version"] or deployment["trigger"])


def rollout(request: Request, deployment_id: str) -> Region:
    """The deployment, as soon as it is in another state or its log has another line."""
    where = path(DEPLOYMENT, deployment_id)
    kind, _, tag = request.live.partition(" ")
    if kind == "log":
        logs.wait(request, path(logs.DEPLOYMENT, deployment_id), tag, 20)
        answer = request.api.get(where)
    else:
        answer = request.follow(where, tag=tag)
    return Region(_region(request, answer))


def cancel(request: Request, deployment_id: str) -> Redirect:
    """Cancel a deployment."""
    made = request.api.send("POST", path(DEPLOYMENT, deployment_id) + "/cancel")
    if request.form.get("back") == "environment":
        to = path("/console/environments/{}", made.data["environment_id"])
    else:
        to = path("/console/deployments/{}", deployment_id)
    return Redirect(to, done="canceled")


def _region(request: Request, answer: Answer) -> Markup:
    deployment = answer.data
    id_, is_over = deployment["id"], deployment["status"] in ENDED
    log = logs.read(request, path(logs.DEPLOYMENT, id_))
    # Each step of a rollout writes a line.
    tag = f"log {log.tag}" if deployment["status"] == "running" else f"state {answer.etag}"
    tag = "" if is_over and not log.tag else tag
    body = joined(
        [
            layout.panel(_facts(deployment)),
            _failure(deployment["failure"]),
            NOTHING if is_over else _cancel(request, deployment),
            layout.section("Steps", steps(request, deployment, log.lines)),
            layout.section("Log", logs.shown(log.lines, "Log", "It has no line yet.")),
        ]
    )
    return layout.live("rollout", path("/console/deployments/{}/rollout", id_), tag, body)


def steps(request: Request, deployment: dict[str, Any], lines: Any) -> Markup:
    """The picture of a rollout: what Step Functions tells once it has ended, its log before."""
    if not deployment["started_at"]:
        return html('<p class="quiet">It waits for its turn.</p>')
    found: list[gantt.Step] = []
    if deployment["status"] in ENDED:
        try:
            found = gantt.of_timeline(request.api.get(path(TIMELINE, deployment["id"])).data)
        except Problem:
            found = []
    return gantt.picture(found or gantt.of_lines(lines, deployment["finished_at"]))


_TRIGGERS = {
    "retry": "a retry",
    "rollback": "a rollback",
    "update": "an update of the environment",
    "configuration": "changed variables or secrets",
    "promotion": "a promotion",
    "integration": "an integration",
}


def _facts(deployment: dict[str, Any]) -> Markup:
    began, ended = deployment["started_at"], deployment["finished_at"]
    took = (
        moments.duration((moments.read(ended) - moments.read(began)).total_seconds())
        if began and ended
        else None
    )
    console = deployment["execution_url"]
    return layout.facts(
        ("State", layout.state(deployment["status"])),
        ("Version", deployment["version"]),
        ("Artifact", deployment["artifact"]),
        ("Template", deployment["template"]),
        ("Why", deployment["reason"] or _TRIGGERS.get(deployment["trigger"])),
        ("By", author(deployment["created_by"])),
        ("Created", moments.ago(deployment["created_at"])),
        ("Began", moments.ago(began)),
        ("Ended", moments.ago(ended)),
        ("Took", took),
        ("Execution", link(console, "in the Step Functions console") if console else None),
        ("Id", html("<code>{id}</code>", id=deployment["id"])),
    )


def _failure(failure: dict[str, Any] | None) -> Markup:
    if not failure:
        return NOTHING
    rest = failure.get("remaining_resources") or []
    return html(
        '<div class="problem"><strong>{error}</strong><p>{reason}</p>{rest}</div>',
        error=failure["error"],
        reason=failure["reason"],
        rest=html("<ul>{all}</ul>", all=[html("<li>{one}</li>", one=one) for one in rest])
        if rest
        else NOTHING,
    )


failure_box = _failure


def _cancel(request: Request, deployment: dict[str, Any]) -> Markup:
    if deployment["cancel_requested_at"]:
        return html('<p class="quiet">It has been asked to stop.</p>')
    action = path("/console/deployments/{}/cancel", deployment["id"])
    return action_button(request, action, "Cancel this deployment", kind="danger")
