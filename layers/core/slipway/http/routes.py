"""The table of routes. A route is read from the signature of the function that serves it.

The types of the function's parameters declare what the route takes from a request:

    Principal             the caller; the route requires a token
    a RequestModel        the body; it can be omitted if the type is `RequestModel | None`
    a QueryModel          the query string
    RawBody               the body, unparsed
    IfMatch | None        the preconditions: `If-Match` and `If-None-Match`
    EtagPredicate | None  the same of an object without a version
    Confirmed | None      the name in the `X-Confirm` header
    SourceIp              the caller's address
    Cookies               the cookies of the request
    WantsPage             whether the caller is a browser that wants a page
    BaseUrl               the scheme and host of the platform, for links in mail
    str                   the part of the path that has the parameter's name
    Rest                  the same of the last part, which may have slashes
    ProjectId             the same, parsed; the other ids likewise

Its return type declares the response: a ResponseModel is an object with an ETag, a Page a bare
array with the next page in `Link`, None an empty 204 and a RawResponse anything else
(slipway.http.responses).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, Literal, NewType, TypedDict, TypeGuard, Unpack

from slipway.access import policy
from slipway.access.principal import Principal
from slipway.domain.fields import QueryModel, RequestModel, ResponseModel
from slipway.domain.preconditions import IfMatch as IfMatch
from slipway.errors import SlipwayError

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
SVG = "image/svg+xml"
TEXT = "text/plain"
MERGE = "application/merge-patch+json"
MAX_BODY_BYTES = 65_536

EtagPredicate = Callable[[ResponseModel], bool]
"""Whether the preconditions allow an object's ETag; None if there are none."""

Confirmed = NewType("Confirmed", str)
"""The name of the protected object, in `X-Confirm`; None if the header is absent."""

SourceIp = NewType("SourceIp", str)
"""The IP address that the request came from."""

Cookies = NewType("Cookies", dict[str, str])
"""The cookies of the request, by name."""

WantsPage = NewType("WantsPage", bool)
"""Whether the `Accept` header asks for HTML, as that of a browser does."""

Rest = NewType("Rest", str)
"""The rest of the path, decoded. It can contain slashes, so no route begins with it."""

BaseUrl = NewType("BaseUrl", str)
"""The scheme and host of the platform, for links in mail."""


@dataclass(frozen=True)
class RawBody:
    """An unparsed body and its media type, which is one of the route's."""

    body: bytes
    media: str


class RouteOptions(TypedDict, total=False):
    """The declarations of a route besides its signature. The fields of Route with these names."""

    action: str
    status: int
    found: int | None
    refuses: Sequence[type[SlipwayError]]
    media: Sequence[str]
    limit: int
    replays: bool
    lines: bool
    exports: Mapping[str, Callable[[Any], str]]
    audits: str
    waits: Literal["", "change", "line"]
    pause: float
    page: str
    oauth: bool
    also: Mapping[str, str]


@dataclass(frozen=True)
class Route:
    """One row of the table of routes.

    `parameters` has the type of each of the function's parameters, without `| None`.
    `body_optional`: whether the body can be omitted.
    `action`: what it does, as slipway.access.policy names it; every route with a caller has one.
    `status`: of a success. `found`: the status if the object existed already or if it was a dry
    run; the function then returns (result, whether something was created).
    `refuses`: the errors that the function raises, besides those that follow from its parameters.
    `media`: the media types that the body can have. `limit`: its maximum length in bytes.
    `replays`: whether a repeated `Idempotency-Key` gets the stored response. Only POST does.
    `lines`: whether a page is sent as newline-delimited JSON to callers who accept that.
    `exports`: further media types of a page for callers who accept them, and how each is written.
    `audits`: how the audit calls a change by this route, if not by its action.
    `waits`: what a request that prefers to wait waits for: a change, or the next line of a log. A
    log can also be followed as an event stream (slipway.http.streaming).
    `pause`: the seconds until a request that waits reads for the second time; later pauses grow to
    five times as many. `page`: where a browser without a token is sent, a path with the parts of
    this one.
    `oauth`: whether its clients are those of OAuth 2, who read errors in that form.
    `also`: further paths that the function serves, by the name of the operation that each is.
    `name`: of the operation, if it is one of these; by default the function's.
    """

    method: str
    path: str
    function: Callable[..., Any]
    parameters: Mapping[str, Any]
    body_optional: bool
    returns: Any
    action: str = ""
    status: int = 200
    found: int | None = None
    refuses: Sequence[type[SlipwayError]] = ()
    media: Sequence[str] = (JSON,)
    limit: int = MAX_BODY_BYTES
    replays: bool = True
    lines: bool = False
    exports: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    audits: str = ""
    waits: Literal["", "change", "line"] = ""
    pause: float = 0.2
    page: str = ""
    oauth: bool = False
    also: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        function: Callable[..., Any],
        **options: Unpack[RouteOptions],
    ) -> Route:
        """The route that this function serves. Raises KeyError for an unknown action."""
        hints = typing.get_type_hints(function)
        returns = hints.pop("return")
        options["replays"] = method == "POST" and options.get("replays", True)
        if Principal in hints.values():
            policy.ACTIONS[options.get("action", "")]
        # Authenticate before validating: the Principal is bound first.
        names = sorted(hints, key=lambda name: hints[name] is not Principal)
        parameters = {name: _without_none(hints[name]) for name in names}
        optional = any(
            is_request_model(kind) and hints[name] is not kind for name, kind in parameters.items()
        )
        return cls(method, path, function, parameters, optional, returns, **options)

    def others(self) -> Iterator[Route]:
        """The routes of the further paths."""
        for name, path in self.also.items():
            yield replace(self, path=path, name=name)

    @property
    def operation(self) -> str:
        """The name of the operation."""
        return self.name or self.function.__name__.strip("_")

    @property
    def audited(self) -> str:
        """How the audit calls a change by this route; empty if it makes none that is audited."""
        return self.audits or ("" if self.method == "GET" else self.action)

    @property
    def body(self) -> type[RequestModel] | None:
        """The model of the body."""
        return next((kind for kind in self.parameters.values() if is_request_model(kind)), None)

    @property
    def query(self) -> type[QueryModel] | None:
        """The model of the query string."""
        return next((kind for kind in self.parameters.values() if is_query_model(kind)), None)

    @property
    def shown(self) -> Any:
        """The type of the answer, without whether it was created."""
        return next(iter(typing.get_args(self.returns)), self.returns)

    def takes(self, kind: Any) -> bool:
        """Whether the function has a parameter of this type."""
        return kind in self.parameters.values()


def is_request_model(kind: Any) -> TypeGuard[type[RequestModel]]:
    """Whether a parameter of this type is the body."""
    return isinstance(kind, type) and issubclass(kind, RequestModel)


def is_query_model(kind: Any) -> TypeGuard[type[QueryModel]]:
    """Whether a parameter of this type is the query string."""
    return isinstance(kind, type) and issubclass(kind, QueryModel)


def _without_none(kind: Any) -> Any:
    """`Kind | None` is Kind; any other type is returned unchanged."""
    first, *others = typing.get_args(kind) or (kind,)
    return first if others == [NoneType] else kind
