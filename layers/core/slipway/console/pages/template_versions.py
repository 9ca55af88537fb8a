"""One version of a template: what it asks for, what it makes, and its states."""

from __future__ import annotations

from typing import Any

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path, required
from slipway.console.forms import Form, action_button
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.pages.inputs import SUPPLIED
from slipway.console.pages.projects import author
from slipway.console.pages.templates import TRAIL, VERSION, body, media
from slipway.console.request import Page, Redirect, Request

_FILLED_IN = html('<span class="quiet">Slipway fills it in</span>')


def show(request: Request, template: str, number: str) -> Page:
    """A version: what it asks for, what it makes, its body, and what can be done with it."""
    where = path(VERSION, template, number)
    found, text = request.api.get_all(where, f"{where}/body")
    data = required(found).data
    to = path("/console/templates/{}", template)
    return Page(
        f"{template} {number}",
        joined(
            [
                _about(data),
                _warnings(data),
                layout.section("Inputs", *_inputs(data)),
                layout.section("Resources", _resources(data)),
                _source(request, data, text),
            ]
        ),
        trail=[TRAIL, (to, template)],
        actions=_actions(request, data, f"{to}/versions/{data['version']}"),
    )


def _about(data: dict[str, Any]) -> Markup:
    return layout.facts(
        ("State", layout.state(data["state"])),
        ("Added", moments.ago(data["created_at"])),
        ("By", author(data["created_by"])),
        ("Published", moments.ago(data["published_at"])),
        ("Deprecated", moments.ago(data["deprecated_at"])),
        ("Outputs", ", ".join(data["outputs"])),
        ("SHA-256", html("<code>{sum}</code>", sum=data["sha256"])),
    )


def _warnings(data: dict[str, Any]) -> Markup:
    if not data["warnings"]:
        return NOTHING
    items = [
        html(
            '<li><code>{where}</code> {detail} <span class="quiet">({code})</span></li>',
            where=each["pointer"],
            detail=each["detail"],
            code=each["code"],
        )
        for each in data["warnings"]
    ]
    return layout.section("Warnings", html("<ul>{items}</ul>", items=items))


def _inputs(data: dict[str, Any]) -> list[Markup]:
    """The parameters, in the template's own groups."""
    known = {each["name"]: each for each in data["parameters"]}
    groups = [(each["label"], each["parameters"]) for each in data["parameter_groups"]]
    grouped = {name for _, names in groups for name in names}
    rest = [name for name in known if name not in grouped]
    if rest or not groups:
        groups.append(("Others" if groups else None, rest))
    heads = ("Name", "Type", "Default", "Allowed", "Description")
    return [
        joined(
            [
                html("<h3>{label}</h3>", label=label) if label else NOTHING,
                layout.table(
                    label or "Inputs",
                    heads,
                    [_input(known[name]) for name in names if name in known],
                    "It takes no inputs.",
                ),
            ]
        )
        for label, names in groups
    ]


def _input(each: dict[str, Any]) -> Markup:
    name = html("{label} <code>{name}</code>", label=each["label"] or "", name=each["name"])
    return layout.row(
        name,
        f"{each['type']}, secret" if each["no_echo"] else each["type"],
        _FILLED_IN if each["name"] in SUPPLIED else each["default"],
        _allowed(each),
        each["description"],
    )


def _allowed(each: dict[str, Any]) -> str:
    said = []
    if each["allowed_values"]:
        said.append(", ".join(each["allowed_values"]))
    if each["allowed_pattern"]:
        said.append(each["constraint_description"] or each["allowed_pattern"])
    for low, high, word in (("min_value", "max_value", ""), ("min_length", "max_length", " long")):
        if each[low] is not None:
            said.append(f"at least {each[low]}{word}")
        if each[high] is not None:
            said.append(f"at most {each[high]}{word}")
    return "; ".join(said)


def _resources(data: dict[str, Any]) -> Markup:
    rows = [layout.row(kind, str(number)) for kind, number in sorted(data["resources"].items())]
    note = html('<p class="quiet">SAM makes further resources of some of these.</p>')
    return joined(
        [
            layout.table("Resources", ("Type", "Number"), rows, "It makes nothing."),
            note if data["transforms"] else NOTHING,
        ]
    )


def _source(request: Request, data: dict[str, Any], text: Answer | Problem) -> Markup:
    if isinstance(text, Problem):
        return layout.section("Body", layout.problem_page(text).body)
    source = text.text
    if data["state"] != "draft":
        shown = html('<pre class="log" tabindex="0">{body}</pre>', body=source)
        return layout.folded("Body", shown)
    form = Form(
        request, path("/console/templates/{}/versions/{}", data["template"], data["version"])
    )
    form.area("body", "Body", source, rows=20, required=True, spellcheck="false")
    return layout.section("Body", form.html("Replace the draft", kind="plain"))


def _actions(request: Request, data: dict[str, Any], where: str) -> Markup:
    if data["state"] == "draft":
        publish = action_button(request, f"{where}/publish", "Publish", kind="")
        discard = action_button(request, f"{where}/discard", "Delete the draft", kind="danger")
        return joined([publish, discard])
    if data["state"] == "published":
        return action_button(request, f"{where}/deprecate", "Deprecate", kind="danger")
    return NOTHING


def replace(request: Request, template: str, number: str) -> Redirect:
    """Replace a draft."""
    where = path(VERSION, template, number)
    request.api.send("PUT", where, body(request), media=media(request))
    return Redirect(path("/console/templates/{}/versions/{}", template, number), done="changed")


def publish(request: Request, template: str, number: str) -> Redirect:
    """Publish a draft."""
    return _moved(request, template, number, "publish", "published")


def deprecate(request: Request, template: str, number: str) -> Redirect:
    """Deprecate a published version."""
    return _moved(request, template, number, "deprecate", "deprecated")


def _moved(request: Request, template: str, number: str, verb: str, done: str) -> Redirect:
    where = path(VERSION, template, number)
    request.api.send("POST", f"{where}/{verb}", key=request.form.get("key", ""))
    return Redirect(path("/console/templates/{}/versions/{}", template, number), done=done)


def discard(request: Request, template: str, number: str) -> Redirect:
    """Delete a draft."""
    request.api.send("DELETE", path(VERSION, template, number))
    return Redirect(path("/console/templates/{}", template), done="deleted")
