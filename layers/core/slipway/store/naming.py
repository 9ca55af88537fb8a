"""Projects and environments by their names.

A name leads to an id, which has to be known before anything can be read. A process remembers where
a name led, and a request uses that as a guess: its first round trip reads the names as well, and
`verify` raises GuessWrong if the guess was wrong. The request is then bound again, without a guess.
Nothing has been written by then: slipway.store.table reads first if a guess is not verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.domain.fields import is_writable, normalised
from slipway.domain.ids import EnvironmentId, ProjectId, parse_environment, parse_project
from slipway.errors import AmbiguousName, GuessWrong, NotFound, no_such
from slipway.store import sessions
from slipway.store.actions import Key, Query

if TYPE_CHECKING:
    from slipway.domain.rights import Grant

_MOST_GUESSES = 1000
# A list of projects in one read; nearly everybody has fewer.
_MOST_PROJECTS = 500
_LONGEST = 63


class Guess(NamedTuple):
    """A name that a request uses, and the id that it is taken for.

    `within`: the user whose projects have such names, or the project of the environment.
    """

    within: str | ProjectId
    name: str
    id: ProjectId | EnvironmentId


_guesses: dict[tuple[str | ProjectId, str], ProjectId | EnvironmentId] = {}
_pending: ContextVar[tuple[Guess, ...]] = ContextVar("guesses", default=())


def guessed(within: str | ProjectId, name: str) -> Any:
    """The id that the name led to before, to be verified by the next read; None if unknown."""
    name = normalised(name)
    found = _guesses.get((within, name))
    if found is not None:
        _pending.set((*_pending.get(), Guess(within, name, found)))
    return found


def pending() -> tuple[Guess, ...]:
    """The guesses of the current request that no read has verified yet."""
    return _pending.get()


def finish() -> None:
    """Say that the request has been served."""
    _pending.set(())


def forget() -> None:
    """Clear what the process remembers, as a new one would start; for tests."""
    _guesses.clear()


# --- what is read -----------------------------------------------------------------------------


def projects_of(user_id: str) -> Query:
    """The query for the user's projects, with their names."""
    return Query(f"USER#{user_id}", "PROJECT#", _MOST_PROJECTS)


def name_key(project: ProjectId, name: str) -> Key:
    """The key that leads from the name of an environment to its id. Raises NotFound for what
    cannot be a name."""
    if not 0 < len(name) <= _LONGEST or not is_writable(name):
        raise no_such("environment")
    return Key(f"PROJECT#{project.p}", f"NAME#{normalised(name)}")


def reads(guesses: Iterable[Guess]) -> tuple[list[Key], list[Query]]:
    """The keys and the queries whose results `verify` needs."""
    keys, queries = [], []
    for guess in guesses:
        if isinstance(guess.within, ProjectId):
            keys.append(name_key(guess.within, guess.name))
        else:
            queries.append(projects_of(guess.within))
    return keys, queries


def verify(
    guesses: Iterable[Guess],
    found: Mapping[Key, Any],
    pages: Sequence[tuple[list[Any], str | None]],
) -> None:
    """Raises GuessWrong unless every name leads to the id that it was taken for."""
    _pending.set(())
    left = list(pages)
    for guess in guesses:
        if isinstance(guess.within, ProjectId):
            item = found.get(name_key(guess.within, guess.name))
            is_right = item is not None and item["environment_id"] == str(guess.id)
        else:
            items, further = left.pop(0)
            is_right = further is None and named(items, guess.name, _grant()) == [str(guess.id)]
        if not is_right:
            _guesses.pop((guess.within, guess.name), None)
            raise GuessWrong()


def named(items: Iterable[Mapping[str, Any]], name: str, grant: Grant | None) -> list[str]:
    """The ids of the projects with this name that the grant covers."""
    within = grant.project_ids if grant else None
    return [
        item["id"]
        for item in items
        if normalised(item["name"]) == normalised(name) and (within is None or item["id"] in within)
    ]


def _grant() -> Grant | None:
    session = sessions.current()
    return session.grant if session else None


# --- what is found ----------------------------------------------------------------------------


def project_found(user_id: str, name: str, items: Iterable[Mapping[str, Any]]) -> ProjectId:
    """The project with this name, which is remembered. Raises NotFound, AmbiguousName."""
    found = named(items, name, _grant())
    if not found:
        raise NotFound("You have no project with this id or name. Check it, or list your projects.")
    if len(found) > 1:
        raise AmbiguousName(found)
    project = parse_project(found[0])
    _remember(user_id, name, project)
    return project


def environment_found(project: ProjectId, name: str, item: Any) -> EnvironmentId:
    """The environment with this name, which is remembered. Raises NotFound."""
    if item is None:
        raise no_such("environment")
    environment = parse_environment(item["environment_id"])
    _remember(project, name, environment)
    return environment


def _remember(within: str | ProjectId, name: str, id_: ProjectId | EnvironmentId) -> None:
    if len(_guesses) >= _MOST_GUESSES:
        _guesses.clear()
    _guesses[within, normalised(name)] = id_
