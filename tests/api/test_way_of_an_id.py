"""The way of the project's id through the creation of an environment: short enough to be read.

Counted are the functions of Slipway that are called with it during one creation: alone, or within
an id, a key, an item or another record. The way begins in the route's function, when the request
is bound, and ends where the store takes keys and items (`table.read`, `Transaction.commit`): their
encoding and the call to DynamoDB are the same for every item.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from slipway.domain.ids import ProjectId
from tests.support.api.client import Client, app
from tests.support.repository import ROOT

FUNCTIONS, MODULES = 25, 10
BEGINS = ("functions/api/environments/app.py", "create")
ENDS = {
    ("layers/core/slipway/store/table.py", "read"),
    ("layers/core/slipway/store/table.py", "Transaction.commit"),
}
OURS = tuple(f"{ROOT / folder}/" for folder in ("functions", "layers/core/slipway"))

Place = tuple[str, str]


def test_the_project_of_a_new_environment_visits_few_functions(
    ann: Client, project: ProjectId
) -> None:
    app("environments")

    with watched(project.p) as way:
        answer = ann.post(
            f"/api/v1/environments/projects/{project}", {"name": "x", "type": "ephemeral"}
        )

    assert answer.status == 201
    assert {BEGINS, *ENDS} <= way
    assert len(way) <= FUNCTIONS, sorted(way)
    assert len({module for module, _ in way}) <= MODULES, sorted(way)


@contextmanager
def watched(text: str) -> Iterator[set[Place]]:
    """The functions on the way that are called with something that contains the text."""
    way: set[Place] = set()
    entered: list[FrameType] = []

    def see(frame: FrameType, event: str, _: object) -> None:
        if entered and frame is entered[-1] and event == "return":
            entered.pop()
        if event != "call" or not frame.f_code.co_filename.startswith(OURS):
            return
        place = (frame.f_code.co_filename.removeprefix(f"{ROOT}/"), frame.f_code.co_qualname)
        begun, ended = bool(entered), len(entered) > 1
        if ended or not (begun or place == BEGINS):
            return
        if place == BEGINS or place in ENDS:
            entered.append(frame)
        if any(contains(each, text) for each in arguments(frame)):
            way.add(place)

    sys.setprofile(see)
    try:
        yield way
    finally:
        sys.setprofile(None)


def arguments(frame: FrameType) -> list[Any]:
    code = frame.f_code
    more = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    count = code.co_argcount + code.co_kwonlyargcount + more
    return [frame.f_locals.get(name) for name in code.co_varnames[:count]]


def contains(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return text in value
    if isinstance(value, dict):
        return any(contains(each, text) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(contains(each, text) for each in value)
    if type(value).__module__.startswith("slipway."):
        return contains(vars(value), text)
    return False
