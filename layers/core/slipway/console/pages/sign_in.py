"""Signing in and out, and registering."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from slipway.console import session
from slipway.console.api import Problem
from slipway.console.forms import Form, filled
from slipway.console.markup import NOTHING, Markup, html
from slipway.console.request import Page, Redirect, Request
from slipway.settings import console_settings, settings

# A page of the console, and nothing that a browser could read as another host.
_OWN_PAGE = re.compile(r"/console(/[A-Za-z0-9_.~/@%-]*)?(\?[A-Za-z0-9_.~&=%+:-]*)?")

# The cookie of a sign-in that has begun: slipway.http.sign_in_page.cookie_name.
_KEPT = ("__Host-slipway-sign-in", "slipway-sign-in")


def own_page(wanted: str | None) -> str:
    """The page to go on to: the wanted one if it is the console's own."""
    own = wanted and len(wanted) <= 500 and _OWN_PAGE.fullmatch(wanted)
    return wanted if own and wanted else "/console"


def show(request: Request) -> Page | Redirect:
    """The form to sign in with, and the company's sign-in."""
    wanted = own_page(request.form.get("next") or request.query.get("next"))
    if request.session and not request.problem:
        return Redirect(wanted)
    ways = []
    if console_settings().company:
        ways.append(
            html(
                '<p><a class="button" href="/console/sign-in/company?next={next}">'
                "Sign in with your company's account</a></p>",
                next=quote(wanted),
            )
        )
    if settings().password_sign_in:
        ways.append(_form(request, wanted))
    return Page("Sign in", html('<div class="narrow">{ways}</div>', ways=ways))


def _form(request: Request, wanted: str) -> Markup:
    form = Form(request, "/console/sign-in")
    form.text(
        "username", "E-mail", type="email", required=True, autocomplete="username", autofocus=True
    )
    form.text(
        "password", "Password", type="password", required=True, autocomplete="current-password"
    )
    form.hidden("next", wanted)
    more = NOTHING
    if settings().registration in ("open", "domains"):
        more = html('<p>No account yet? <a href="/console/register">Register</a></p>')
    return html("{form}{more}", form=form.html("Sign in"), more=more)


def sign_in(request: Request) -> Redirect:
    """Begin a session. Its id is a new one, whatever cookie the browser had."""
    answer = request.api.send(
        "POST",
        "/api/v1/auth/login",
        {
            "username": request.form.get("username", ""),
            "password": request.form.get("password", ""),
        },
    )
    return begun(request, answer.data, own_page(request.form.get("next")))


def begun(request: Request, tokens: dict[str, Any], to: str) -> Redirect:
    """The session of these tokens, and the page to go on to."""
    api = replace(request.api, token=tokens["access_token"])
    me = api.get("/api/v1/auth/me").data
    is_admin = me.get("platform_role") == "admin"
    made = session.new(tokens, me["email"], is_admin=is_admin)
    return Redirect(to, session=made, signs=True)


def company(request: Request) -> Redirect:
    """Go to the company's sign-in."""
    wanted = own_page(request.query.get("next"))
    return Redirect(f"/api/v1/auth/oidc/login?{urlencode({'return_to': wanted})}")


def company_callback(request: Request) -> Page | Redirect:
    """Complete the company's sign-in with what it has sent the browser back with.

    The API compares it with the cookie that the sign-in began with, so nobody can be signed in by a
    link.
    """
    kept = "; ".join(f"{name}={value}" for name, value in request.cookies.items() if name in _KEPT)
    query = {name: request.query.get(name) for name in ("code", "state", "iss", "error")}
    answer = request.api.send(
        "GET", "/api/v1/auth/oidc/callback", query=query, headers={"Cookie": kept}
    )
    begun_ = begun(request, answer.data, own_page(request.query.get("next")))
    forgotten = [each for each in answer.cookies if each.partition("=")[0] in _KEPT]
    return replace(begun_, cookies=forgotten)


def sign_out(request: Request) -> Redirect:
    """End the session."""
    try:
        request.api.send("POST", "/api/v1/auth/logout")
    except Problem as problem:
        # A session that has ended is what was asked for. Else somebody would believe it had.
        if problem.status != 401:
            raise
    return Redirect("/console/sign-in", done="signed-out", signs=True)


def register_form(request: Request) -> Page:
    """The form to register with."""
    invitation = request.form.get("invitation") or request.query.get("invitation") or ""
    is_open = settings().registration in ("open", "domains") or bool(invitation)
    if not is_open or not settings().password_sign_in:
        text = "An administrator invites people here; the invitation has a link."
        return Page("Registration", html("<p>{text}</p>", text=text), status=404)
    form = Form(request, "/console/register")
    form.text("email", "E-mail", type="email", required=True, autocomplete="username")
    form.text(
        "password",
        "Password",
        type="password",
        hint="At least 8 characters.",
        required=True,
        autocomplete="new-password",
    )
    if invitation:
        form.hidden("invitation", invitation)
    body = html('<div class="narrow">{form}</div>', form=form.html("Register"))
    return Page("Register", body, trail=[("/console/sign-in", "Sign in")])


def register(request: Request) -> Redirect:
    """Register somebody, and sign them in if the address needs no proof."""
    body = filled(request, "email", "invitation") | {"password": request.form.get("password", "")}
    answer = request.api.send("POST", "/api/v1/auth/register", body)
    if answer.status != 201:
        return Redirect("/console/sign-in", done="mailed")
    login = {"username": body.get("email", ""), "password": body["password"]}
    tokens = request.api.send("POST", "/api/v1/auth/login", login).data
    return begun(request, tokens, "/console")
