"""Round trips: the DynamoDB calls of each route, counted against a watched table.

`make round-trips` writes docs/round-trips.md; a test compares it.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.loopback import Watched, environ
from benchmarks.routes import BEFORE, ROUTES, budget, deployment_path
from benchmarks.stage import Stage
from benchmarks.support import ROOT, bars, markdown, save, show
from benchmarks.units import Paid

# Long enough that concurrent calls are seen to overlap.
HOLD_SECONDS = 0.05
TRIES = 5
COMMITTED = ROOT / "docs/round-trips.md"
# Calls of other services are not counted here.
ANSWERS = {
    "put_parameter": {},
    "delete_parameters": {},
    "detect_stack_drift": {"StackDriftDetectionId": "0f1e2d3c-0000-4000-8000-123456789abc"},
    "describe_stacks": {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]},
    "describe_stack_resource_drifts": {"StackResourceDrifts": []},
    "create_change_set": {},
}


def _answered(service: str, method: str, **request: Any) -> Any:
    from slipway.errors import DriverRefused

    if method == "describe_change_set":
        raise DriverRefused("ChangeSetNotFound: there is none yet")
    if method == "get_parameters":
        found = [{"Name": name, "Value": "x"} for name in request["Names"]]
        return {"Parameters": found, "InvalidParameters": []}
    return ANSWERS[method]


@contextmanager
def handlers(dynamodb: Watched) -> Iterator[None]:
    """The functions in this process, with the watched table."""
    from slipway import aws
    from slipway.aws import functions, template_bodies
    from slipway.domain import configuration
    from tests.support import invoked
    from tests.support.lambda_environment import forget

    stored: dict[str, bytes] = {}
    template_bodies.put = lambda key, body, media: stored.update({key: body})
    template_bodies.get = lambda key: stored[key]
    template_bodies.validate = lambda key: None
    aws.call = _answered
    # How long a deflated text is depends on the ids and times in it.
    vars(configuration)["zlib"] = SimpleNamespace(
        compress=lambda data, level: zlib.compress(data, 0), decompress=zlib.decompress
    )
    functions.invoke = invoked.invoke
    dynamodb.create_table()
    before = dict(os.environ)
    os.environ.update(
        environ(dynamodb.endpoint), ALLOWED_RESOURCE_TYPES="*", PLANS_FUNCTION="plans"
    )
    forget()
    try:
        yield
    finally:
        vars(configuration)["zlib"] = zlib
        forget()
        os.environ.clear()
        os.environ.update(before)


def measured() -> dict[str, Paid]:
    found = {}
    with Watched() as dynamodb, handlers(dynamodb):
        for name in ROUTES:
            found[name] = _asked(name, dynamodb)
            # On a busy machine concurrent calls may look sequential, but not the reverse.
            for _ in range(TRIES):
                if found[name].depth <= budget(name):
                    break
                found[name] = _asked(name, dynamodb)
    return found


def _asked(name: str, dynamodb: Watched) -> Paid:
    """The calls of the route, with a table of its own."""
    dynamodb.create_table()
    stage = BEFORE[name](Stage()) if name in BEFORE else Stage()
    # The public keys, which a process reads every five minutes.
    assert stage.ann.get(deployment_path(stage)).status == 200
    with dynamodb.watching(HOLD_SECONDS) as calls:
        answer = ROUTES[name][1](stage)
    stage.close()
    assert answer.status < 400, (name, answer.text)
    return Paid(calls)


def table(found: Mapping[str, Paid]) -> str:
    rows = [
        (
            name,
            ROUTES[name][0].replace("<", "{").replace(">", "}"),
            paid.depth,
            len(paid.calls),
            f"{paid.units[0]:g}",
            paid.units[1],
            paid.sent,
            paid.answered,
            paid.told(),
        )
        for name, paid in found.items()
    ]
    header = ("", "route", "depth", "calls", "RCU", "WCU", "bytes sent", "answered", "which")
    return markdown(header, rows)


HEAD = """# The DynamoDB calls of each route

`make round-trips` writes this page by running every route against a watched table. A test compares
it, so that a change is visible in review.

*depth* is the number of calls that follow each other, which is what a caller waits for. Calls
joined by `+` run at the same time; a call after a comma waits for those before it. *RCU* and *WCU*
are capacity units by DynamoDB's rules: reads are strongly consistent except those of the index
`listed`, a transaction costs twice, and both indexes are included. Bytes are those of the bodies;
levels and configurations count as long as they are before they are deflated.
The functions are warm: a new one reads the public keys once (one Query) and again every five
minutes; and, before it changes inputs, it reads their template version once, which never changes.
`/docs`, `/redoc`, `/openapi.json` and `/health` make no calls.

"""


def plot(found: Mapping[str, Paid]) -> None:
    def of(*, reads: bool, depth: int) -> float:
        depths = [
            paid.depth for name, paid in found.items() if ROUTES[name][0].startswith("GET") == reads
        ]
        return depths.count(depth)

    deepest = max(paid.depth for paid in found.values())
    bars(
        "round-trips",
        "Routes, by the round trips that they wait for",
        {
            kind: {
                f"{depth} round trip{'s' * (depth > 1)}": of(reads=reads, depth=depth)
                for depth in range(1, deepest + 1)
            }
            for kind, reads in {"GETs": True, "writes": False}.items()
        },
        "routes",
    )


def main(document: Path = COMMITTED) -> None:
    found = measured()
    document.write_text(HEAD + table(found) + "\n")
    show("Round trips", ("", "depth", "which"), [(n, p.depth, p.told()) for n, p in found.items()])
    if document == COMMITTED:
        plot(found)
    save(
        "round_trips",
        {
            name: {
                "route": ROUTES[name][0],
                "depth": paid.depth,
                "calls": [call.operation for call in paid.calls],
                "units": paid.units,
                "bytes": [paid.sent, paid.answered],
            }
            for name, paid in found.items()
        },
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
