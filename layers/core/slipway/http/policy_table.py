"""The policy as text: for the OpenAPI document, and as the tables of docs/access.md.

No function imports this module; `python -m slipway.http.openapi` writes the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slipway.access.policy import ACTIONS, Rule
from slipway.http.routes import Route

BEGIN, END = "<!-- begin: actions -->\n", "<!-- end: actions -->\n"


def needs(rule: Rule) -> str:
    """What the action needs, as sentences for the OpenAPI document."""
    parts = []
    if rule.administrator:
        parts.append("Only administrators of the platform may.")
    if rule.role:
        parts.append(f"Needs the role `{rule.role}`{_exceptions(rule)}.")
    if rule.session:
        parts.append("Only a person in a session may, not a token.")
    elif rule.scope:
        parts.append(f"A token needs the scope `{rule.scope}`.")
    else:
        parts.append("Any token may.")
    if rule.person:
        parts.append("Only a person may, in a session or with a personal token.")
    return " ".join(parts)


def _exceptions(rule: Rule) -> str:
    if rule.preview:
        return f", in environments of the tier `preview` `{rule.preview}`"
    if rule.own:
        return f", in environments of the tier `preview` that the caller created `{rule.own}`"
    return ""


def tables(routes: Iterable[Route]) -> str:
    """The table of all actions: what each needs, and the routes that do it."""
    of_action: dict[str, list[str]] = {}
    for route in routes:
        if route.action:
            of_action.setdefault(route.action, []).append(f"`{route.method} {_path(route)}`")
    return "\n".join(["", *_rows(of_action), "", ""])


def _rows(of_action: dict[str, list[str]]) -> Iterator[str]:
    yield "| action | role | scope of a token | destructive | routes |"
    yield "| --- | --- | --- | --- | --- |"
    for action, rule in ACTIONS.items():
        role: str = rule.role or ("administrator" if rule.administrator else "")
        if rule.preview:
            role += f"; preview: {rule.preview}"
        if rule.own:
            role += f"; own preview: {rule.own}"
        scope: str = "sessions only" if rule.session else rule.scope or "any"
        scope += ", of a person" if rule.person else ""
        destructive = "yes" if rule.destructive else ""
        routes = "<br>".join(of_action.get(action, []))
        yield f"| `{action}` | {role} | {scope} | {destructive} | {routes} |"


def _path(route: Route) -> str:
    return route.path.removeprefix("/api/v1").replace("<", "{").replace(">", "}")


def inserted(text: str, routes: Iterable[Route]) -> str:
    """The page with the tables between its marks."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + tables(routes) + END + rest.partition(END)[2]
