"""Creating environments, and what can be done with one: each a form with the API's refusals."""

from __future__ import annotations

from typing import Any

from slipway.console import layout
from slipway.console.api import path
from slipway.console.forms import Form, action_button, filled, number
from slipway.console.markup import NOTHING, Markup, attributes, html, joined
from slipway.console.pages import inputs
from slipway.console.pages.projects import ENVIRONMENTS, PROJECT
from slipway.console.request import Page, Redirect, Request

ENVIRONMENT = "/api/v1/environments/{}"
DEPLOY = "/api/v1/environments/{}/deployments"
TEMPLATES = "/api/v1/templates"
_TYPES = [("ephemeral", "Ephemeral: it ends by itself"), ("persistent", "Persistent")]
_TIERS = [
    ("", "As usual for its type"),
    ("preview", "Preview"),
    ("staging", "Staging"),
    ("production", "Production"),
]
_NO_TEMPLATE = "-"


# --- a new one ------------------------------------------------------------------------------------


def new(request: Request, project_id: str) -> Page:
    """The form for a new environment: first the template, then what it asks for."""
    project = request.api.get(path(PROJECT, project_id)).data
    trail = [("/console", "Projects"), (path("/console/projects/{}", project_id), project["name"])]
    chosen = request.form.get("template") or request.query.get("template")
    if not chosen:
        return Page("New environment", _templates(request, project_id), trail=trail)
    return Page("New environment", _form(request, project_id, chosen), trail=trail)


def _templates(request: Request, project_id: str) -> Markup:
    where = path("/console/projects/{}/new", project_id)
    answer = request.api.get(TEMPLATES, query={"limit": 100})
    cards = [
        html(
            '<li class="card"><h2><a href="{to}">{name}</a></h2><p>{about}</p></li>',
            to=html("{where}?template={name}", where=where, name=path("{}", each["name"])),
            name=each["name"],
            about=each["description"] or "",
        )
        for each in answer.data
    ]
    none = html(
        "<p>No template has been published yet. A template says what an environment consists of, "
        'as plain CloudFormation. <a href="/console/templates">Publish one</a>, and come back.</p>'
    )
    return html(
        "<p>What shall it be made from?</p>{cards}"
        '<p class="quiet"><a href="{where}?template={no}">Without a template</a>: a simulated '
        "environment, to try deployments and leases out. Nothing is created on AWS.</p>",
        cards=html('<ul class="cards">{cards}</ul>', cards=cards) if cards else none,
        where=where,
        no=_NO_TEMPLATE,
    )


def _form(request: Request, project_id: str, chosen: str) -> Markup:
    version, versions = _version(request, chosen)
    if version is None and chosen != _NO_TEMPLATE:
        return html(
            "<p>{chosen} has no published version, so nothing can be made from it yet.</p>",
            chosen=chosen,
        )
    where = path("/console/projects/{}/new", project_id)
    form = Form(request, where)
    form.text("name", "Name", required=True, maxlength=63, placeholder="preview-pr-123")
    form.choice("type", "Type", _TYPES, "ephemeral")
    form.text(
        "ttl_hours", "Hours to live", "24", hint="Only for an ephemeral one.", inputmode="decimal"
    )
    form.choice("tier", "Tier", _TIERS, hint="What it is for. Roles can differ by tier.")
    if version:
        form.hidden("template", f"{version['template']}@{version['version']}")
        inputs.fields(form, version)
        form.add(inputs.warnings(version))
    else:
        form.hidden("template", _NO_TEMPLATE)
    return html(
        "{choice}{form}",
        choice=_choice(where, version, versions),
        form=layout.section("What it is", form.html("Create environment")),
    )


def _choice(where: str, version: dict[str, Any] | None, versions: list[dict[str, Any]]) -> Markup:
    """The version that the form is for, and the others."""
    if version is None:
        return html('<p>Without a template. <a href="{where}">Choose one</a></p>', where=where)
    options = [
        html(
            '<option value="{value}"{selected}>{number}</option>',
            value=f"{each['template']}@{each['version']}",
            selected=attributes(selected=each["version"] == version["version"]),
            number=each["version"],
        )
        for each in versions
    ]
    return html(
        '<form method="get" action="{where}" class="row"><label for="template">From '
        '<strong>{name}</strong>, version</label> <select id="template" name="template" '
        'class="short">{options}</select> <button class="plain">Use this version</button> '
        '<a href="{where}">Choose another template</a></form>',
        where=where,
        name=version["template"],
        options=options,
    )


def _version(request: Request, chosen: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The version that is chosen, by default the newest, among those that can be used."""
    if chosen == _NO_TEMPLATE:
        return None, []
    name, _, wanted = chosen.partition("@")
    found = request.api.get(path(inputs.VERSIONS, name), query={"limit": 100}).data
    usable = [each for each in found if each["state"] == "published"]
    named = [each for each in usable if each["version"] == wanted]
    return next(iter(named or usable), None), usable


def create(request: Request, project_id: str) -> Redirect:
    """Create an environment, and go to it."""
    body = filled(request, "name", "type", "tier", "template")
    if body.get("template") == _NO_TEMPLATE:
        del body["template"]
    if body.get("type") == "ephemeral" and request.form.get("ttl_hours", "").strip():
        body["ttl_hours"] = number(request.form["ttl_hours"].strip())
    if given := inputs.sent(request):
        body["inputs"] = given
    key = request.form.get("key", "")
    made = request.api.send("POST", path(ENVIRONMENTS, project_id), body, key=key)
    return Redirect(path("/console/environments/{}", made.data["id"]))


# --- one that exists ------------------------------------------------------------------------------


def changes(request: Request, environment: dict[str, Any], can: set[str] | None) -> Markup:
    """The forms for what can be done with it. `can` are the actions of the role, if known."""

    def may(action: str) -> bool:
        return can is None or action in can

    status = environment["status"]
    found = []
    if status in ("running", "provisioning"):
        found += [_deploy(request, environment)] if may("deployments:create") else []
        if environment["live_deployment_id"] and may("deployments:rollback"):
            found.append(_rollback(request, environment))
        found += [_lease(request, environment)] if may("environments:extend") else []
        if environment["template"] and may("environments:update"):
            to = path("/console/environments/{}/update", environment["id"])
            words = "Change its template version or inputs"
            found.append(html('<p><a href="{to}">{words}</a></p>', to=to, words=words))
    if status != "destroyed":
        to = path("/console/environments/{}/variables", environment["id"])
        found.append(html('<p><a href="{to}">Variables and secrets</a></p>', to=to))
    if environment["template"] and status != "destroyed":
        to = path("/console/environments/{}/resources", environment["id"])
        found.append(html('<p><a href="{to}">Resources and drift</a></p>', to=to))
    if status not in ("destroyed", "tearing_down", "expiring") and may("environments:destroy"):
        found.append(_destroy(request, environment))
    if not any(found):
        return NOTHING
    return layout.section("What you can do", joined(found))


def _deploy(request: Request, environment: dict[str, Any]) -> Markup:
    form = Form(request, path("/console/environments/{}/deploy", environment["id"]), part="deploy")
    form.text("version", "Version", required=True, maxlength=100, placeholder="sha-1234567")
    form.text(
        "artifact",
        "Artifact",
        hint="The built code, if the template takes one: s3://bucket/key, or an image.",
    )
    is_open = environment["live_version"] is None or form.problem is not None
    return layout.folded("Deploy a version", form.html("Deploy"), is_open=is_open)


def deploy(request: Request, environment_id: str) -> Redirect:
    """Deploy a version, and watch its rollout."""
    body = filled(request, "version", "artifact")
    key = request.form.get("key", "")
    made = request.api.send("POST", path(DEPLOY, environment_id), body, key=key)
    return Redirect(path("/console/deployments/{}", made.data["id"]))


def _rollback(request: Request, environment: dict[str, Any]) -> Markup:
    action = path("/console/environments/{}/rollback", environment["id"])
    form = Form(request, action, part="rollback")
    form.add(
        html(
            "<p>What was live before becomes live again: version, template version, inputs, "
            "variables and secrets. Programs may deploy nothing until somebody releases the "
            "environment.</p>"
        )
    )
    form.text("reason", "Why", required=True, maxlength=200)
    hint = "The id of a deployment, one of the last ten that were live. Empty: the one before."
    form.text("to", "Back to", hint=hint, maxlength=200)
    return layout.folded("Roll back", form.html("Roll back"), is_open=form.problem is not None)


def rollback(request: Request, environment_id: str) -> Redirect:
    """Bring back what was live before, and watch it."""
    where, key = f"{path(ENVIRONMENT, environment_id)}/rollback", request.form.get("key", "")
    made = request.api.send("POST", where, filled(request, "reason", "to"), key=key)
    return Redirect(path("/console/deployments/{}", made.data["id"]))


def release(request: Request, environment_id: str) -> Redirect:
    """Let programs deploy into the environment again."""
    request.api.send("DELETE", f"{path(ENVIRONMENT, environment_id)}/hold")
    return Redirect(path("/console/environments/{}", environment_id), done="released")


def held(request: Request, environment: dict[str, Any]) -> Markup:
    """Why programs may deploy nothing, and the button to release it."""
    hold = environment.get("hold")
    if not hold:
        return NOTHING
    action = path("/console/environments/{}/release", environment["id"])
    return html(
        '<div class="problem"><strong>It was rolled back, and is held</strong><p>{reason}</p>'
        "<p>Programs may deploy nothing into it until a person releases it.</p>{button}</div>",
        reason=hold["reason"],
        button=action_button(request, action, "Release it"),
    )


def _lease(request: Request, environment: dict[str, Any]) -> Markup:
    if environment["type"] != "ephemeral":
        return NOTHING
    below = path("/console/environments/{}", environment["id"])
    if environment["pinned"]:
        return action_button(request, f"{below}/unpin", "Unpin: let it end again")
    extend = Form(request, f"{below}/extend", part="extend")
    extend.text("ttl_hours", "Hours from now", "24", required=True, inputmode="decimal")
    pin = Form(request, f"{below}/pin", part="pin")
    pin.text("reason", "Why", required=True, maxlength=200, placeholder="demo on Friday")
    return joined(
        [
            layout.folded(
                "Keep it longer", extend.html("Extend"), is_open=extend.problem is not None
            ),
            layout.folded(
                "Pin it: it does not end", pin.html("Pin"), is_open=pin.problem is not None
            ),
        ]
    )


def extend(request: Request, environment_id: str) -> Redirect:
    """Let the lease last so many hours from now."""
    body = {"ttl_hours": number(request.form.get("ttl_hours", "").strip())}
    return _done(request, environment_id, "extend", body, "extended")


def pin(request: Request, environment_id: str) -> Redirect:
    """Pin the environment."""
    return _done(request, environment_id, "pin", filled(request, "reason"), "pinned")


def unpin(request: Request, environment_id: str) -> Redirect:
    """Let the lease start again."""
    return _done(request, environment_id, "unpin", None, "unpinned")


def _done(request: Request, environment_id: str, verb: str, body: Any, done: str) -> Redirect:
    request.api.send("POST", f"{path(ENVIRONMENT, environment_id)}/{verb}", body)
    return Redirect(path("/console/environments/{}", environment_id), done=done)


def _destroy(request: Request, environment: dict[str, Any]) -> Markup:
    form = Form(
        request, path("/console/environments/{}/destroy", environment["id"]), part="destroy"
    )
    form.add(
        html(
            "<p>What it consists of is deleted, its data included. It cannot be undone; its "
            "history stays readable.</p>"
        )
    )
    if environment["protected"]:
        hint = f"It is protected. Write its name, {environment['name']}."
        form.text("confirm", "Name", hint=hint, required=True, autocomplete="off")
    if environment["status"] == "teardown_failed":
        form.check("force", "Forget what could not be deleted, and mark it as destroyed")
    button = form.html("Destroy this environment", kind="danger")
    return layout.folded("Destroy it", button, is_open=form.problem is not None)


def destroy(request: Request, environment_id: str) -> Redirect:
    """Destroy the environment, and watch it go."""
    query = {"force": "true"} if request.form.get("force") == "true" else {}
    confirmed = request.form.get("confirm", "").strip()
    headers = (
        {"X-Confirm": confirmed}
        if confirmed.isascii() and confirmed.isprintable() and confirmed
        else {}
    )
    request.api.send("DELETE", path(ENVIRONMENT, environment_id), query=query, headers=headers)
    return Redirect(path("/console/environments/{}", environment_id), done="destroying")


def check_drift(request: Request, environment_id: str) -> Redirect:
    """Begin to compare the stack with its template."""
    request.api.send("POST", f"{path(ENVIRONMENT, environment_id)}/drift")
    return Redirect(path("/console/environments/{}/resources", environment_id), done="checking")


# --- another template version, other inputs -------------------------------------------------------


def update_form(request: Request, environment_id: str) -> Page:
    """The form for another template version or other inputs."""
    environment = request.api.get(path(ENVIRONMENT, environment_id)).data
    own = path("/console/environments/{}", environment_id)
    trail = [("/console", "Projects"), (own, environment["name"])]
    if not environment["template"]:
        text = "It was made without a template, so there is nothing to update."
        return Page("Update", html("<p>{text}</p>", text=text), trail=trail)
    chosen = request.form.get("template") or request.query.get("template")
    version, versions = _version(request, chosen or environment["template"])
    if version is None:
        return Page("Update", html("<p>No version can be used now.</p>"), trail=trail)
    form = Form(request, f"{own}/update")
    form.hidden("template", f"{version['template']}@{version['version']}")
    inputs.fields(form, version, environment["inputs"] or {})
    form.add(html('<p class="quiet">It waits in the queue, as a deployment does.</p>'))
    body = html(
        "<p>It has {now}.</p>{choice}{form}",
        now=environment["template"],
        choice=_choice(f"{own}/update", version, versions),
        form=layout.section("Update", form.html("Update the environment")),
    )
    return Page("Update", body, trail=trail)


def update(request: Request, environment_id: str) -> Redirect:
    """Change the template version or inputs, and watch it happen."""
    environment = request.api.get(path(ENVIRONMENT, environment_id)).data
    before = environment["inputs"] or {}
    body: dict[str, Any] = {}
    if request.form.get("template") != environment["template"]:
        body = filled(request, "template")
    changed = {
        name: value for name, value in inputs.sent(request).items() if before.get(name) != value
    }
    if changed or not body:
        body["inputs"] = changed
    confirmed = request.form.get("confirm", "")
    headers = {"X-Confirm": confirmed} if confirmed else {}
    key = request.form.get("key", "")
    where = f"{path(ENVIRONMENT, environment_id)}/update"
    made = request.api.send("POST", where, body, headers=headers, key=key)
    return Redirect(path("/console/deployments/{}", made.data["id"]))
