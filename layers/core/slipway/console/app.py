"""Requests to pages: the Lambda handler of the console.

    api = Console()
    handler = api.handler
    api.get("/console/projects/<project_id>", "projects.show")
    api.post("/console/projects", "projects.create", page="projects.index")

A target is a module of slipway.console.pages and its function, imported when it is first needed.
The function takes the Request and the parts of the path by name. That of a POST answers a Redirect;
if the API refuses what it asks for, the function `page` is shown with the refusal beside the form.
"""

from __future__ import annotations

import base64
import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from slipway import observe
from slipway.console import api, assets, layout, session
from slipway.console.api import Problem
from slipway.console.request import Page, Redirect, Region, Request, Unchanged
from slipway.console.session import Session
from slipway.errors import Fault
from slipway.http.headers import ALWAYS, HTTPS_ONLY, base_url
from slipway.http.negotiation import accepts_coding

SIGN_IN = "/console/sign-in"
MAX_BODY_BYTES = 2_000_000
_HTML = "text/html; charset=utf-8"
# Nothing inline, nothing foreign, and no page of another origin may show these.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# With no-referrer, browsers say `Origin: null` of the console's own forms.
_HEADERS = {**ALWAYS, "Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
_TRIES = 8

Answer = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """A row of the table. `page` is shown again if a form is refused; `public` needs nobody."""

    method: str
    path: str
    target: str
    page: str = ""
    public: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """The parts of the path by name, None if it is not this route's."""
        own, sent = self.path.split("/"), path.split("/")
        if len(own) != len(sent):
            return None
        found = {}
        for part, value in zip(own, sent, strict=True):
            # Dots would lead to another path of the API.
            if part.startswith("<") and value not in ("", ".", ".."):
                found[part[1:-1]] = value
            elif part != value:
                return None
        return found


class Console:
    """The table of routes, and the Lambda handler that serves them."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def get(self, path: str, target: str, *, public: bool = False) -> None:
        self.routes.append(Route("GET", path, target, public=public))

    def post(self, path: str, target: str, *, page: str, public: bool = False) -> None:
        self.routes.append(Route("POST", path, target, page, public))

    def handler(self, event: dict[str, Any], context: Any) -> Answer:
        """The Lambda handler: a request (payload 2.0) to its response. Logs one line."""
        began = time.perf_counter()
        event["headers"] = {name.lower(): value for name, value in event["headers"].items()}
        event["rawPath"] = event["rawPath"].rstrip("/") or "/"
        http = event["requestContext"]["http"]
        try:
            answer = self._answer(event)
        except Exception:
            observe.log().exception("A bug in the console")
            answer = _failed(event, 500, "Something went wrong", "This is a bug in the console.")
        observe.event(
            "request",
            method=http["method"][:20],
            route=event.get("routeKey"),
            path=quote(event["rawPath"])[:200],
            status=answer["statusCode"],
            ms=round((time.perf_counter() - began) * 1000, 1),
            request_id=event["requestContext"]["requestId"],
        )
        return answer

    def _answer(self, event: dict[str, Any]) -> Answer:
        method = event["requestContext"]["http"]["method"]
        method = "GET" if method == "HEAD" else method
        if method == "GET" and event["rawPath"].startswith(assets.BELOW):
            return _asset(event)
        found = [
            (route, names)
            for route in self.routes
            if (names := route.match(event["rawPath"])) is not None
        ]
        for route, names in found:
            if route.method == method:
                try:
                    return self._serve(route, names, event)
                except Fault as fault:
                    observe.log().exception(fault.title)
                    return _failed(event, 503, fault.title, fault.detail)
        if found:
            answer = _failed(event, 405, "That does not work here", "Open the page itself.")
            answer["headers"]["Allow"] = ", ".join(sorted({each.method for each, _ in found}))
            return answer
        return _failed(event, 404, "There is no such page", "The address leads nowhere.")

    def _serve(self, route: Route, names: Mapping[str, str], event: dict[str, Any]) -> Answer:
        try:
            request = _request(event)
        except ValueError:
            return _failed(event, 400, "The form cannot be read", "Send it from its page.")
        if request is None:
            return _failed(event, 413, "That is too much", "A form has 2 MB at most.")
        if refused := _foreign(route, event):
            return _failed(event, 403, "This form is not the console's", refused)
        kept = request.cookies.get(session.cookie_name(request.base))
        request.session = session.opened(kept) if kept else None
        if request.session is None and not route.public:
            return _to_sign_in(request, event, forgets=kept is not None)
        fresh = None
        if request.session and request.session.is_stale and not route.public:
            try:
                request.session = fresh = _refreshed(request)
            except Problem as problem:
                return _refused_session(request, event, problem)
        if request.session:
            request.api = replace(request.api, token=request.session.access)
        if route.method == "POST" and not route.public and not _is_own(request):
            detail = "It was opened in another session. Open its page again and send it from there."
            return _failed(event, 403, "This form is not the console's", detail)
        if fresh and request.live:
            # The cookie is kept before anything waits, so that no later answer brings an older one.
            return _response(event, 204, "", cookie=session.cookie(request.base, fresh))
        return self._page(route, names, event, request, fresh)

    def _page(
        self,
        route: Route,
        names: Mapping[str, str],
        event: dict[str, Any],
        request: Request,
        fresh: Session | None,
    ) -> Answer:
        """The answer of the route's function, or its refusal."""
        cookie = session.cookie(request.base, fresh) if fresh else ""
        try:
            shown = _call(route.target, request, names)
        except Unchanged:
            return _response(event, 204, "", cookie=cookie)
        except Problem as problem:
            if problem.status == 401 and request.session and not route.public:
                return _refused_session(request, event, problem)
            shown = _shown_again(route, names, request, problem)
        if isinstance(shown, Redirect):
            return _redirect(event, request, shown, cookie)
        if isinstance(shown, Region):
            return _response(event, 200, shown.body, cookie=cookie)
        document = layout.document(request, shown)
        return _response(event, shown.status, document, cookie=cookie)


def _call(target: str, request: Request, names: Mapping[str, str]) -> Any:
    module, _, name = target.partition(".")
    function: Callable[..., Any] = getattr(
        importlib.import_module(f"slipway.console.pages.{module}"), name
    )
    return function(request, **names)


def _shown_again(
    route: Route, names: Mapping[str, str], request: Request, problem: Problem
) -> Page | Redirect | Region:
    """The page of a form that was refused, or a page of the refusal alone."""
    if not route.page:
        return layout.problem_page(problem)
    request.problem = problem
    try:
        page: Page = _call(route.page, request, names)
    except Problem:
        return layout.problem_page(problem)
    return replace(page, status=problem.status)


# --- what comes in --------------------------------------------------------------------------------


def _request(event: Mapping[str, Any]) -> Request | None:
    """The request; None if its body is too long. Raises ValueError for what is no form."""
    http, headers = event["requestContext"]["http"], event["headers"]
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    if len(raw) > MAX_BODY_BYTES:
        return None
    lists = _fields(raw.decode())
    query = _fields(event.get("rawQueryString") or "")
    return Request(
        http["method"],
        event["rawPath"],
        {name: values[-1] for name, values in query.items()},
        {name: values[-1] for name, values in lists.items()},
        api.Client(
            api.origin(event["requestContext"]["apiId"]),
            agent=headers.get("user-agent", "")[:300],
            address=http["sourceIp"],
        ),
        base_url(event),
        http["sourceIp"],
        live=headers.get("x-slipway-live", ""),
        lists=lists,
        cookies=_cookies(event),
    )


def _fields(text: str) -> dict[str, list[str]]:
    return parse_qs(
        text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=500
    )


def _cookies(event: Mapping[str, Any]) -> dict[str, str]:
    """By name; the first of two, which is the one with the longer path."""
    found: dict[str, str] = {}
    for each in event.get("cookies", ()):
        name, _, value = each.partition("=")
        found.setdefault(name.strip(), value.strip())
    return found


def _foreign(route: Route, event: Mapping[str, Any]) -> str:
    """Why a form is not accepted: no page of the console has sent it; else ""."""
    if route.method != "POST":
        return ""
    headers = event["headers"]
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    # Old browsers, and all of them without TLS, say only the origin.
    if site == "same-origin" or (site is None and origin == base_url(event)):
        return ""
    return "A page of another site has sent it, or a program. Programs use the API."


def _is_own(request: Request) -> bool:
    return session.is_form_token(request.user, request.form.get("csrf", ""))


# --- sessions ------------------------------------------------------------------------------------


def _refreshed(request: Request) -> Session:
    """The session with new tokens. Raises Problem if there are none.

    Tabs that do so at the same time send the same key, and get the same refresh token.
    """
    old = request.user
    body = {"refresh_token": old.refresh, "repeat_key": session.repeat_key(old)}
    for attempt in range(_TRIES):
        try:
            made = request.api.send("POST", "/api/v1/auth/refresh", body)
            break
        except Problem as problem:
            # Another tab is ahead, and the company's sign-in takes its time.
            if problem.code != "busy" or attempt == _TRIES - 1:
                raise
            time.sleep(1)
    ends = time.time() + made.data["expires_in"]
    return replace(
        old, access=made.data["access_token"], refresh=made.data["refresh_token"], ends=ends
    )


def _refused_session(request: Request, event: dict[str, Any], problem: Problem) -> Answer:
    if problem.status in (400, 401, 403, 422):
        return _to_sign_in(request, event, forgets=True)
    return _response(event, problem.status, layout.document(request, layout.problem_page(problem)))


def _to_sign_in(request: Request, event: dict[str, Any], *, forgets: bool) -> Answer:
    """Send somebody to the sign-in, and then back. `forgets`: the session has ended."""
    if request.live:
        # The script opens the page again, which leads here.
        return _response(event, 401, "")
    wanted = (
        {"next": request.path} if request.method == "GET" and request.path != "/console" else {}
    )
    if wanted and request.query:
        wanted["next"] += "?" + urlencode(request.query)
    if forgets:
        wanted["done"] = "ended"
    to = f"{SIGN_IN}?{urlencode(wanted)}" if wanted else SIGN_IN
    cookie = session.cookie(request.base, None) if forgets else ""
    return _response(event, 303, "", cookie=cookie, Location=to)


# --- what goes out --------------------------------------------------------------------------------


def _redirect(event: dict[str, Any], request: Request, shown: Redirect, cookie: str) -> Answer:
    to = shown.to
    if shown.done:
        to += ("&" if "?" in to else "?") + urlencode({"done": shown.done})
    if shown.signs:
        cookie = session.cookie(request.base, shown.session)
    answer = _response(event, 303, "", cookie=cookie, Location=to)
    if shown.cookies:
        answer["cookies"] = [*answer.get("cookies", ()), *shown.cookies]
    return answer


def _failed(event: dict[str, Any], status: int, title: str, detail: str) -> Answer:
    return _response(event, status, layout.bare(title, detail))


def _response(
    event: Mapping[str, Any], status: int, body: str, *, cookie: str = "", **headers: str
) -> Answer:
    """The response to a request, compressed if the browser takes that."""
    sent = {**_HEADERS, **headers}
    if base_url(event).startswith("https:"):
        sent["Strict-Transport-Security"] = HTTPS_ONLY
    answer: Answer = {"statusCode": status, "headers": sent, "isBase64Encoded": False, "body": body}
    if cookie:
        answer["cookies"] = [cookie]
    if body:
        sent |= {"Content-Type": _HTML, "Vary": "Accept-Encoding, Cookie"}
        _pack(event, answer)
    return answer


def _asset(event: Mapping[str, Any]) -> Answer:
    """A file of the assets. It is the same for everybody, and no secret."""
    found = assets.find(event["rawPath"])
    if found is None:
        return _response(event, 404, layout.bare("There is no such file", "It may have moved."))
    asset, is_newest = found
    answer = _response(event, 200, "")
    answer["body"] = asset.content.decode()
    answer["headers"] |= {
        "Content-Type": asset.media,
        "Vary": "Accept-Encoding",
        "Cache-Control": assets.FOREVER if is_newest else "no-cache",
    }
    _pack(event, answer)
    return answer


def _pack(event: Mapping[str, Any], answer: Answer) -> None:
    """Compress the body if the browser takes that."""
    if accepts_coding(event["headers"].get("accept-encoding"), "gzip"):
        import gzip

        packed = gzip.compress(answer["body"].encode(), compresslevel=6, mtime=0)
        answer["headers"]["Content-Encoding"] = "gzip"
        answer |= {"body": base64.b64encode(packed).decode(), "isBase64Encoded": True}
