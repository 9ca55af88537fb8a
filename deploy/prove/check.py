"""A check and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from deploy.prove.sandbox import Clients, Sandbox


@dataclass(frozen=True)
class Deployed:
    """The deployed stack to check: its name, its outputs, and clients for its account."""

    stack: str
    outputs: dict[str, str]
    clients: Clients
    is_aws: bool = True


class Seen(NamedTuple):
    """An observation, and whether docs/aws.md predicts it; None if the check is inconclusive."""

    as_expected: bool | None
    what: str


class Check(NamedTuple):
    """A check. `row` is the row's id in docs/aws.md, and `says` the expectation."""

    row: str
    says: str
    run: Callable[[Sandbox, Deployed], Seen]
