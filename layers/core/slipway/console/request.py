"""A request as a page sees it, and what a page answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.console.api import WAIT_SECONDS, Answer, Client, Problem
from slipway.console.markup import NOTHING, Markup
from slipway.console.session import Session


class Unchanged(Exception):
    """There is nothing newer than what the browser shows."""


@dataclass(frozen=True)
class Page:
    """A page. `title` names it, `body` is its content below the heading.

    `trail` are the pages above it: (address, name). `actions` stand beside the heading.
    """

    title: str
    body: Markup
    trail: Sequence[tuple[str, str]] = ()
    actions: Markup = NOTHING
    status: int = 200


@dataclass(frozen=True)
class Region:
    """A part of a page that keeps itself up to date, without the page around it."""

    body: Markup


@dataclass(frozen=True)
class Redirect:
    """Where a browser goes after a form, by GET. `done` is a key of layout.DONE.

    `session` replaces the one in the cookie, if `signs` is set; None signs out. `cookies` are
    further values of Set-Cookie.
    """

    to: str
    done: str = ""
    session: Session | None = None
    signs: bool = False
    cookies: Sequence[str] = ()


@dataclass
class Request:
    """A request. `form` has the fields that were sent, the last of each name.

    `live` is the tag of the region or page that the browser shows, if it asks for a newer one.
    `problem` is why a form was refused, while its page is shown again, and `told` whether the page
    has that form and shows it there.
    """

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    api: Client
    base: str
    address: str
    session: Session | None = None
    live: str = ""
    problem: Problem | None = None
    told: bool = False
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)

    @property
    def user(self) -> Session:
        """Who is signed in; only for pages that need somebody."""
        assert self.session is not None
        return self.session

    def follow(
        self, where: str, *, tag: str = "", wait: int = WAIT_SECONDS, **query: Any
    ) -> Answer:
        """The answer to a GET; for a live request, as soon as it is another than the one shown.

        `tag` is the ETag of that one, if it is not all of what the browser has sent. Raises
        Unchanged if there is none in time, and Problem.
        """
        answer = self.api.get(where, query=query, tag=tag or self.live, wait=wait)
        if answer.status == 304:
            raise Unchanged
        return answer

    def refused(self, action: str) -> Problem | None:
        """Why the form that is sent to this path has just been refused."""
        return self.problem if self.path == action else None
