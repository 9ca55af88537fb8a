"""Variables and secrets: of an environment, of a project, and of one of its tiers."""

from __future__ import annotations

from typing import Any, NamedTuple

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path, required
from slipway.console.forms import Form, action_button
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.pages.members import TIERS
from slipway.console.pages.projects import PROJECT, author, more
from slipway.console.request import Page, Redirect, Request

ENVIRONMENT = "/api/v1/environments/{}"
_APPLY = [
    ("next", "With the next deployment"),
    ("now", "Now: deploy what is live again"),
]


class _Level(NamedTuple):
    """Where variables are set: the path of the API, and the address of the page.

    `query` names the tier, and `applies` says whether a change can be deployed at once.
    """

    api: str
    where: str
    query: dict[str, str]
    applies: bool

    def asks(self, request: Request) -> dict[str, str]:
        """The parameters of a change."""
        if self.applies and request.form.get("apply") == "now":
            return {**self.query, "apply": "now"}
        return self.query


def _own(environment_id: str) -> _Level:
    where = path("/console/environments/{}/variables", environment_id)
    return _Level(path(ENVIRONMENT, environment_id), where, {}, applies=True)


def _shared(project_id: str, tier: str) -> _Level:
    if tier not in ("all", *TIERS):
        raise Problem(404, "not_found", "There is no such tier", f"Use {', '.join(TIERS)} or all.")
    where = path("/console/projects/{}/variables/{}", project_id, tier)
    query = {} if tier == "all" else {"tier": tier}
    return _Level(path(PROJECT, project_id), where, query, applies=False)


# --- pages ----------------------------------------------------------------------------------------


def of_environment(request: Request, environment_id: str) -> Page:
    """The variables and secrets of an environment, and its configurations."""
    level = _own(environment_id)
    found, variables, secrets = request.api.get_all(
        level.api, f"{level.api}/variables", f"{level.api}/secrets"
    )
    environment = required(found).data
    query = {"cursor": request.query.get("cursor"), "limit": 20}
    history = request.api.get(f"{level.api}/configurations", query=query)
    body = joined(
        [
            _standing(environment),
            _variables(request, level, variables),
            _secrets(request, level, secrets),
            _history(request, level, history, environment),
        ]
    )
    trail = [
        ("/console", "Projects"),
        (path("/console/environments/{}", environment_id), environment["name"]),
    ]
    return Page("Variables and secrets", body, trail=trail)


def of_project(request: Request, project_id: str, tier: str) -> Page:
    """The variables and secrets of a project, or of one of its tiers."""
    level = _shared(project_id, tier)
    suffix = f"?tier={tier}" if level.query else ""
    found, variables, secrets = request.api.get_all(
        level.api, f"{level.api}/variables{suffix}", f"{level.api}/secrets{suffix}"
    )
    project = required(found).data
    places = [
        html(
            '<a href="{to}"{current}>{name}</a> ',
            to=_shared(project_id, each).where,
            current=html(' aria-current="page"') if each == tier else NOTHING,
            name="All tiers" if each == "all" else each.capitalize(),
        )
        for each in ("all", *TIERS)
    ]
    body = joined(
        [
            html(
                '<nav aria-label="Tiers"><p>{places}</p></nav><p class="quiet">An environment '
                "inherits from its tier, and its tier from the project. A change takes effect with "
                "the next deployment of each environment.</p>",
                places=places,
            ),
            _variables(request, level, variables),
            _secrets(request, level, secrets),
        ]
    )
    trail = [("/console", "Projects"), (path("/console/projects/{}", project_id), project["name"])]
    return Page("Variables and secrets", body, trail=trail)


def _standing(environment: dict[str, Any]) -> Markup:
    known = environment["configuration"]
    if not known:
        return NOTHING
    return layout.facts(
        ("Live configuration", str(known["live"]) if known["live"] else "none yet"),
        ("Pending", str(known["pending"]) if known["pending"] else None),
    )


def _variables(request: Request, level: _Level, found: Answer | Problem) -> Markup:
    if isinstance(found, Problem):
        return layout.section("Variables", layout.problem_page(found).body)
    rows = [
        layout.row(
            html("<code>{name}</code>", name=each["name"]),
            html("<code>{value}</code>", value=each["value"]),
            each["source"],
            moments.ago(each["updated_at"]),
            author(each["updated_by"]),
            _removal(request, f"{level.where}/remove", each["name"]),
        )
        for each in found.data
    ]
    heads = ("Name", "Value", "From", "Changed", "By", "")
    form = Form(request, level.where, part="variables")
    form.area(
        "lines",
        "Set variables",
        rows=4,
        required=True,
        spellcheck="false",
        placeholder="LOG_LEVEL=debug",
        hint="One NAME=value a line, as in a .env file.",
    )
    _apply_field(form, level)
    return layout.section(
        "Variables",
        layout.table("Variables", heads, rows, "There are none."),
        form.html("Set", kind="plain"),
    )


def _secrets(request: Request, level: _Level, found: Answer | Problem) -> Markup:
    if isinstance(found, Problem):
        return layout.section("Secrets", layout.problem_page(found).body)
    rows = [
        layout.row(
            html("<code>{name}</code>", name=each["name"]),
            str(each["version"]),
            each["source"],
            moments.ago(each["updated_at"]),
            author(each["updated_by"]),
            _removal(request, f"{level.where}/secrets/remove", each["name"]),
        )
        for each in found.data
    ]
    heads = ("Name", "Version", "From", "Changed", "By", "")
    form = Form(request, f"{level.where}/secrets", part="secrets")
    form.text("name", "Name", required=True, placeholder="DATABASE_URL", autocomplete="off")
    form.text(
        "value",
        "Value",
        type="password",
        required=True,
        autocomplete="new-password",
        hint="It is never shown here again.",
    )
    _apply_field(form, level)
    return layout.section(
        "Secrets",
        layout.table("Secrets", heads, rows, "There are none."),
        form.html("Set the secret", kind="plain"),
    )


def _apply_field(form: Form, level: _Level) -> None:
    if level.applies:
        form.choice("apply", "Takes effect", _APPLY, "next")


def _removal(request: Request, where: str, name: str) -> Markup:
    form = Form(request, where, part=name)
    form.hidden("name", name)
    return form.html("Remove", kind="danger", shape="inline")


def _history(
    request: Request, level: _Level, history: Answer, environment: dict[str, Any]
) -> Markup:
    live = (environment["configuration"] or {}).get("live")
    rows = [
        layout.row(
            str(each["number"]),
            moments.full(each["at"]),
            author(each["by"]),
            each["reason"],
            layout.state("live")
            if each["number"] == live
            else action_button(request, f"{level.where}/restore/{each['number']}", "Restore"),
        )
        for each in history.data
    ]
    heads = ("Number", "When", "Who", "What", "")
    return layout.section(
        "Configurations",
        html('<p class="quiet">Each change of this environment makes a new one.</p>'),
        layout.table("Configurations", heads, rows, "There is none yet."),
        more(level.where, history),
    )


# --- changes --------------------------------------------------------------------------------------


def _set(request: Request, level: _Level) -> Redirect:
    lines = request.form.get("lines", "").replace("\r\n", "\n").encode()
    request.api.send(
        "PATCH",
        f"{level.api}/variables",
        lines,
        query=level.asks(request),
        key=request.form.get("key", ""),
        media="text/plain",
    )
    return Redirect(level.where, done="changed")


def _remove(request: Request, level: _Level) -> Redirect:
    name = request.form.get("name", "")
    key = request.form.get("key", "")
    request.api.send("PATCH", f"{level.api}/variables", {name: None}, query=level.query, key=key)
    return Redirect(level.where, done="removed")


def _set_secret(request: Request, level: _Level) -> Redirect:
    name = request.form.get("name", "").strip()
    request.api.send(
        "PUT",
        f"{level.api}/secrets/{path('{}', name)}",
        {"value": request.form.get("value", "")},
        query=level.asks(request),
        key=request.form.get("key", ""),
    )
    return Redirect(level.where, done="changed")


def _remove_secret(request: Request, level: _Level) -> Redirect:
    name = path("{}", request.form.get("name", ""))
    request.api.send("DELETE", f"{level.api}/secrets/{name}", query=level.query)
    return Redirect(level.where, done="removed")


def set_own(request: Request, environment_id: str) -> Redirect:
    """Set variables of an environment."""
    return _set(request, _own(environment_id))


def remove_own(request: Request, environment_id: str) -> Redirect:
    """Remove a variable of an environment."""
    return _remove(request, _own(environment_id))


def set_own_secret(request: Request, environment_id: str) -> Redirect:
    """Set a secret of an environment."""
    return _set_secret(request, _own(environment_id))


def remove_own_secret(request: Request, environment_id: str) -> Redirect:
    """Remove a secret of an environment."""
    return _remove_secret(request, _own(environment_id))


def restore(request: Request, environment_id: str, number: str) -> Redirect:
    """Make a new configuration with the content of an earlier one."""
    level = _own(environment_id)
    where = path(ENVIRONMENT + "/configurations/{}/restore", environment_id, number)
    request.api.send("POST", where, key=request.form.get("key", ""))
    return Redirect(level.where, done="changed")


def set_shared(request: Request, project_id: str, tier: str) -> Redirect:
    """Set variables of a project or a tier."""
    return _set(request, _shared(project_id, tier))


def remove_shared(request: Request, project_id: str, tier: str) -> Redirect:
    """Remove a variable of a project or a tier."""
    return _remove(request, _shared(project_id, tier))


def set_shared_secret(request: Request, project_id: str, tier: str) -> Redirect:
    """Set a secret of a project or a tier."""
    return _set_secret(request, _shared(project_id, tier))


def remove_shared_secret(request: Request, project_id: str, tier: str) -> Redirect:
    """Remove a secret of a project or a tier."""
    return _remove_secret(request, _shared(project_id, tier))
