"""What a check is, and what it has to work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from deploy.prove.sandbox import Clients, Sandbox


@dataclass(frozen=True)
class Deployed:
    """The deployed stack that is looked at: its name, its outputs, and where it is."""

    stack: str
    outputs: dict[str, str]
    clients: Clients
    is_aws: bool = True


class Seen(NamedTuple):
    """What was seen, and whether it is what docs/aws.md says; None: it could not be told here."""

    as_expected: bool | None
    what: str


class Check(NamedTuple):
    """`row` is the row's id in docs/aws.md, `says` what is expected."""

    row: str
    says: str
    run: Callable[[Sandbox, Deployed], Seen]
