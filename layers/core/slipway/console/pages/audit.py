"""The audit: who changed what in a project, or on the platform."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from slipway.console import layout, moments
from slipway.console.api import Answer, Problem, path
from slipway.console.forms import Form
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.pages.projects import PROJECT
from slipway.console.request import Page, Request

AUDIT = "/api/v1/projects/{}/audit"
PLATFORM = "/api/v1/audit"
_FILTERS = [
    ("actor", "Who", "ann@example.com"),
    ("action", "What", "environments:create"),
    ("target", "Of", "env_…"),
    ("since", "Since", "2026-11-23T00:00:00Z"),
    ("until", "Until", "2026-11-24T00:00:00Z"),
]


def of_project(request: Request, project_id: str) -> Page:
    """What was changed in a project, newest first."""
    project = request.api.get(path(PROJECT, project_id)).data
    where = path("/console/projects/{}/audit", project_id)
    trail = [("/console", "Projects"), (path("/console/projects/{}", project_id), project["name"])]
    return Page("Audit", _entries(request, path(AUDIT, project_id), where), trail=trail)


def of_platform(request: Request) -> Page:
    """What was changed on the platform itself, newest first."""
    return Page("Audit of the platform", _entries(request, PLATFORM, "/console/audit"))


def _entries(request: Request, api: str, where: str) -> Markup:
    wanted = {name: request.query.get(name, "").strip() for name, _, _ in _FILTERS}
    wanted = {name: value for name, value in wanted.items() if value}
    query = {**wanted, "cursor": request.query.get("cursor"), "limit": 50}
    refused: Problem | None = None
    try:
        answer = request.api.get(api, query=query)
    except Problem as problem:
        # A filter may be malformed; the others are errors of the page.
        if problem.status not in (400, 422) or not wanted:
            raise
        refused, answer = problem, Answer(200, {}, [])
    rows = [_row(each) for each in answer.data]
    heads = ("When", "Who", "What", "Of", "From", "Changes")
    return joined(
        [
            _filter(where, wanted, refused),
            layout.section(
                "Changes",
                layout.table("Changes", heads, rows, "Nothing was changed."),
                _further(where, wanted, answer),
            ),
            _verification(request, where),
        ]
    )


def _filter(where: str, wanted: dict[str, str], refused: Problem | None) -> Markup:
    fields = [
        html(
            '<div class="field"><label for="{name}">{label}</label>'
            '<input id="{name}" name="{name}" value="{value}" placeholder="{example}">'
            "{error}</div>",
            name=name,
            label=label,
            value=wanted.get(name, ""),
            example=example,
            error=_fault(refused, name),
        )
        for name, label, example in _FILTERS
    ]
    form = html(
        '<form method="get" action="{where}">{problem}<div class="row">{fields}</div>'
        '<div class="buttons"><button class="plain">Filter</button></div></form>',
        where=where,
        problem=layout.problem_box(refused, [], beside=True) if refused else NOTHING,
        fields=fields,
    )
    return layout.folded("Filter", form, is_open=bool(wanted))


def _fault(refused: Problem | None, name: str) -> Markup:
    said = [detail for where, detail in refused.errors if where == f"?{name}"] if refused else []
    return html('<p class="error">{said}</p>', said="; ".join(said)) if said else NOTHING


def _row(entry: dict[str, Any]) -> Markup:
    actor, target = entry["actor"], entry["target"]
    return layout.row(
        moments.full(entry["at"]),
        html(
            '{name} <span class="quiet">{kind}</span>',
            name=actor["name"] or actor["id"],
            kind=actor["kind"],
        ),
        html("<code>{action}</code>", action=entry["action"]),
        html('{name} <span class="quiet">{id}</span>', name=target["name"] or "", id=target["id"]),
        html(
            '<span title="{agent}">{address}</span>',
            agent=entry["user_agent"] or "",
            address=entry["address"],
        ),
        _changes(entry["before"], entry["after"]),
    )


def _changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Markup:
    """Each field that has changed, from what to what."""
    names = list(dict.fromkeys([*(before or {}), *(after or {})]))
    if not names:
        return NOTHING
    items = [
        html(
            "<li>{name}: <code>{old}</code> to <code>{new}</code></li>",
            name=name,
            old=_shown((before or {}).get(name)),
            new=_shown((after or {}).get(name)),
        )
        for name in names
    ]
    return html("<ul>{items}</ul>", items=items)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"


def _further(where: str, wanted: dict[str, str], answer: Answer) -> Markup:
    if not answer.next_cursor:
        return NOTHING
    query = urlencode({**wanted, "cursor": answer.next_cursor})
    return html('<p><a href="{where}?{query}">Show more</a></p>', where=where, query=query)


# --- verification ---------------------------------------------------------------------------------


def _verification(request: Request, where: str) -> Markup:
    form = Form(request, f"{where}/verify")
    form.add(
        html(
            '<p class="hint">Each entry is linked to the one before it. The check reads all of '
            "them and tells whether one was changed, removed or moved.</p>"
        )
    )
    return layout.folded("Check that nothing was altered", form.html("Check it", kind="plain"))


def verify_project(request: Request, project_id: str) -> Page:
    """Check the audit of a project."""
    where = path("/console/projects/{}/audit", project_id)
    return _verified(request, path(AUDIT, project_id), (where, "Audit"))


def verify_platform(request: Request) -> Page:
    """Check the audit of the platform."""
    return _verified(request, PLATFORM, ("/console/audit", "Audit of the platform"))


# One request of the console may last 29 seconds. The API's pages have 500 links.
_PAGES = 20


def _verified(request: Request, api: str, back: tuple[str, str]) -> Page:
    cursor = request.form.get("cursor") or None
    found: dict[str, Any] = {}
    for _ in range(_PAGES):
        found = request.api.get(f"{api}/verify", query={"cursor": cursor}).data
        cursor = found["next"]
        if not found["ok"] or not cursor:
            break
    said = (
        html('<p class="done" role="status">No entry was changed, removed or moved.</p>')
        if found["ok"]
        else html(
            '<div class="problem" role="alert"><strong>The chain is broken at entry {place}.'
            "</strong><p>{reason}</p></div>",
            place=found["broken_at"],
            reason=found["reason"],
        )
    )
    further = NOTHING
    if cursor and found["ok"]:
        form = Form(request, f"{back[0]}/verify")
        form.hidden("cursor", cursor)
        further = form.html("Go on from there")
    facts = layout.facts(
        ("Entries in order", str(found["entries"])),
        ("Not linked yet", str(found["unlinked"])),
        ("Hash of the last link", html("<code>{head}</code>", head=found["head"])),
    )
    return Page("The audit's chain", joined([said, facts, further]), trail=[back])
