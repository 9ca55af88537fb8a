"""The inbox: destructive requests of machines, which wait for a person."""

from __future__ import annotations

import json
from typing import Any

from slipway.console import layout, moments
from slipway.console.api import path
from slipway.console.forms import Form, filled
from slipway.console.markup import NOTHING, Markup, html, joined
from slipway.console.pages.projects import author, more
from slipway.console.request import Page, Redirect, Request

CONFIRMATIONS = "/api/v1/confirmations"
CONFIRMATION = "/api/v1/confirmations/{}"
_WHERE = "/console/confirmations"
_ONE = "/console/confirmations/{}"


def index(request: Request) -> Page:
    """What waits for the caller, in all projects."""
    query = {"cursor": request.query.get("cursor"), "limit": 50}
    answer = request.api.get(CONFIRMATIONS, query=query)
    cards = [
        html(
            '<li class="card"><h2><a href="{to}">{reason}</a></h2>{facts}</li>',
            to=path(_ONE, each["id"]),
            reason=each["reason"],
            facts=layout.facts(
                ("Asked by", _asker(each["asked_by"])),
                ("Asked", moments.ago(each["created_at"])),
                ("Ends", moments.ago(each["expires_at"])),
            ),
        )
        for each in answer.data
    ]
    body = joined(
        [
            html(
                "<p>A program that wants to delete something, or give it away, waits here for a "
                "person.</p>"
            ),
            html('<ul class="cards">{cards}</ul>', cards=cards)
            if cards
            else html('<p class="quiet">Nothing waits for you.</p>'),
            more(_WHERE, answer),
        ]
    )
    return Page("Confirmations", body)


def _asker(asker: dict[str, Any]) -> str:
    return f"{author(asker)} ({asker['kind']})"


def show(request: Request, confirmation: str) -> Page:
    """One request of a machine: what it asks, and the forms that decide."""
    data = request.api.get(path(CONFIRMATION, confirmation)).data
    facts = layout.facts(
        ("State", layout.state(data["status"])),
        ("What", html("<code>{action}</code>", action=data["action"])),
        ("Of", _target(data)),
        ("Asked by", _asker(data["asked_by"])),
        ("Asked", moments.ago(data["created_at"])),
        ("Ends", moments.ago(data["expires_at"])),
        ("Decided by", author(data["decided_by"])),
        ("Decided", moments.ago(data["decided_at"])),
        ("Why it was rejected", data["rejection"]),
    )
    waits = data["status"] == "awaiting_confirmation"
    body = joined(
        [
            facts,
            layout.section("The request", _request(data["request"])),
            _result(data["result"]),
            _decision(request, data) if waits else NOTHING,
        ]
    )
    return Page(data["reason"], body, trail=[(_WHERE, "Confirmations")])


def _target(data: dict[str, Any]) -> Markup:
    places = {"env_": "/console/environments/{}", "prj_": "/console/projects/{}"}
    where = places.get(data["target"][:4])
    if where is None:
        return html("{name}", name=data["target_name"])
    return html(
        '<a href="{to}">{name}</a>', to=path(where, data["target"]), name=data["target_name"]
    )


def _request(asked: dict[str, Any]) -> Markup:
    query = f"?{asked['query']}" if asked["query"] else ""
    body = json.dumps(asked["body"], indent=2, ensure_ascii=False) if asked["body"] else ""
    return html(
        '<pre class="log" tabindex="0">{method} {path}{query}\n{body}</pre>',
        method=asked["method"],
        path=asked["path"],
        query=query,
        body=body,
    )


def _result(result: dict[str, Any] | None) -> Markup:
    if not result:
        return NOTHING
    return layout.section(
        "What came of it",
        layout.facts(
            ("Status", str(result["status"])),
            ("Code", result["code"]),
            ("Detail", result["detail"]),
        ),
    )


def _decision(request: Request, data: dict[str, Any]) -> Markup:
    where = path(_ONE, data["id"])
    approval = Form(request, f"{where}/approve", part="approve")
    approval.hidden("digest", data["digest"])
    approval.text(
        "confirm",
        "The name of what it concerns",
        autocomplete="off",
        hint="Only needed if it is protected.",
    )
    rejection = Form(request, f"{where}/reject", part="reject")
    rejection.text("reason", "Why", hint="The program reads it.")
    return html(
        '<div class="row">{approve}{reject}</div>',
        approve=layout.section("Let it be done", approval.html("Approve", kind="danger")),
        reject=layout.section("Refuse it", rejection.html("Reject")),
    )


def approve(request: Request, confirmation: str) -> Redirect:
    """Approve the request that the person has read."""
    confirmed = request.form.get("confirm", "").strip()
    request.api.send(
        "POST",
        path(CONFIRMATION + "/approve", confirmation),
        filled(request, "digest"),
        headers={"X-Confirm": confirmed} if confirmed else None,
        key=request.form.get("key", ""),
    )
    return Redirect(path(_ONE, confirmation), done="approved")


def reject(request: Request, confirmation: str) -> Redirect:
    """Reject the request."""
    request.api.send(
        "POST",
        path(CONFIRMATION + "/reject", confirmation),
        filled(request, "reason"),
        key=request.form.get("key", ""),
    )
    return Redirect(path(_ONE, confirmation), done="rejected")
