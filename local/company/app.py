"""The provider's pages and endpoints, as a WSGI application."""

import html
import json
from collections.abc import Callable
from typing import Any

from authlib.oauth2 import OAuth2Error
from werkzeug.wrappers import Request, Response

from local.company.provider import Provider


class App:
    """Serves a provider. `signs_in` is a subject who is signed in without being asked: a test's."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.signs_in = ""
        self.routes: dict[str, Callable[[Request], Response]] = {
            "/.well-known/openid-configuration": lambda _: _json(provider.metadata()),
            "/jwks": lambda _: _json(provider.key_set()),
            "/authorize": self.authorize,
            "/token": provider.create_token_response,
            "/userinfo": self.userinfo,
            "/": self.people,
        }

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        serve: Any = self.routes.get(request.path, lambda _: Response("Not found\n", 404))
        answer: Any = serve(request)
        return answer(environ, start_response)

    def authorize(self, request: Request) -> Response:
        """Ask who signs in, then send the browser back."""
        try:
            grant = self.provider.get_consent_grant(request)
        except OAuth2Error as error:
            return self._refused(request, error)
        chosen = self.signs_in or request.form.get("sub", "")
        if not chosen:
            return _page("Who are you?", self._choices())
        user = chosen if self.provider.may_sign_in(chosen) else None
        answer: Response = self.provider.create_authorization_response(
            request, grant_user=user, grant=grant
        )
        # RFC 9207: who answers, so that no answer is taken for that of another provider.
        answer.location = f"{answer.location}&iss={self.provider.issuer}"
        return answer

    def _refused(self, request: Request, error: OAuth2Error) -> Response:
        answer: Response = self.provider.handle_error_response(
            self.provider.create_oauth2_request(request), error
        )
        return answer

    def userinfo(self, request: Request) -> Response:
        """Who has the access token."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        subject = self.provider.accesses.get(token, "")
        if not self.provider.may_sign_in(subject):
            return Response('{"error": "invalid_token"}', 401, content_type="application/json")
        return _json(self.provider.claims(subject))

    def people(self, request: Request) -> Response:
        """Show the people, and disable or enable one."""
        if request.method == "POST":
            self.provider.disabled.symmetric_difference_update({request.form.get("sub", "")})
        return _page("The company's people", self._choices(switch=True))

    def _choices(self, *, switch: bool = False) -> str:
        rows = []
        for subject, claims in self.provider.people.items():
            groups = ", ".join(claims.get("groups", ())) or "no group"
            off = subject in self.provider.disabled
            label = ("enable" if off else "disable") if switch else f"I am {subject}"
            rows.append(
                f"<tr><td>{html.escape(str(claims.get('email')))}</td>"
                f"<td>{html.escape(groups)}</td><td>{'disabled' if off else ''}</td>"
                f'<td><button name="sub" value="{html.escape(subject)}">{html.escape(label)}'
                "</button></td></tr>"
            )
        return f'<form method="post"><table>{"".join(rows)}</table></form>'


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json")


def _page(title: str, body: str) -> Response:
    text = f"<!doctype html><title>{title}</title><h1>{title}</h1>{body}"
    # Forms post here, and lead back to the platform.
    policy = "default-src 'none'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return Response(text, headers=headers, content_type="text/html; charset=utf-8")
