"""A search for requests that cost more than those of the corpus: a hill climb over generators.

It is seeded and short in a run of all tests. SLIPWAY_COST_SEARCH_SECONDS=600 searches longer and
from another seed each time, which it prints.
"""

from __future__ import annotations

import functools
import json
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from slipway.domain import inputs, template_parser
from slipway.domain.allowances import Allowances
from slipway.domain.template import Parameter
from slipway.errors import Invalid, Malformed
from tests.support.security.costly import KINDS
from tests.support.security.processor_time import (
    MOST_SECONDS,
    as_in_a_new_process,
    least_of,
    seconds,
)

LONG = float(os.environ.get("SLIPWAY_COST_SEARCH_SECONDS", "0"))
SECONDS = LONG or 4.0
SEED = random.randrange(10**6) if LONG else 20261128
SIZE, SMALL = 1_000_000, 50_000
ALLOWED = Allowances(["AWS::SQS::Queue", "AWS::Lambda::*", "AWS::Serverless::Function"])

TOKENS = [
    *"{}[]:,-?|>'\"&*!#%@`~\\ \n\t0aZé\u2028",
    *(
        "- ",
        ": ",
        "\n- ",
        "a: ",
        "\n a: ",
        "? ",
        "---\n",
        "...\n",
        "|\n ",
        ">-\n ",
        "!Ref ",
        "!Sub ",
    ),
    *(
        "!Sub ",
        "${a}",
        "${",
        "${!a}",
        "{{resolve:",
        "!GetAtt a.b",
        "&a ",
        "*a ",
        "<<: ",
        "'",
        '"',
        '\\"',
    ),
    *('{"a":', '["a",', '"a":', "null", "1e9", "0x1f", '{"Ref":"a"}', '{"Fn::Sub":"${a}"}'),
    *("Resources:", "Parameters:", "Type: AWS::SQS::Queue", "Default: ", "DependsOn: ", "\\u0041"),
]
PATTERN_TOKENS = [
    *"ab.*+?|()[]^$\\-&{},1é",
    *(
        "(?:",
        "(?i)",
        "(a|b)",
        "[a-z]",
        "[^a]",
        "{1,99}",
        "{0,}",
        "&&",
        "\\p{L}",
        "\\w",
        "\\1",
        ".*",
    ),
    *("(a*)*", "(a|a)*", "(?=a)", "[[a]&&[b]]", "\\Q", "\\E", "\\R", "\\X", "a{1,255}"),
]


@pytest.fixture(scope="module", autouse=True)
def new_process() -> None:
    as_in_a_new_process()


@dataclass(frozen=True)
class Unit:
    """A text that begins with `head` and repeats `part`."""

    head: tuple[str, ...]
    part: tuple[str, ...]
    is_json: bool

    def text(self, size: int) -> str:
        head, part = "".join(self.head), "".join(self.part) or "a"
        return head + part * max(1, (size - len(head)) // len(part.encode()))

    def changed(self, chance: random.Random, tokens: list[str]) -> Unit:
        head, part = list(self.head), list(self.part)
        for _ in range(chance.choice([1, 1, 2, 4])):
            side = chance.choice([head, part, part])
            at = chance.randrange(len(side) + 1)
            if chance.random() < 0.6 or not side:
                side.insert(at, chance.choice(tokens))
            else:
                side.pop(min(at, len(side) - 1))
        flip = chance.random() < 0.05
        return Unit(tuple(head[:8]), tuple(part[:8]), self.is_json is not flip)


def climb(
    start: list[Any], change: Callable[[Any, random.Random], Any], cost: Callable[[Any], float]
) -> Any:
    """The most expensive individual that was found: it keeps the best eight and changes them."""
    chance, until = random.Random(SEED), time.monotonic() + SECONDS
    best = sorted(((cost(each), n, each) for n, each in enumerate(start)), reverse=True)[:8]
    tried = len(start)
    while time.monotonic() < until:
        tried += 1
        # Often the best one, and sometimes a new line of descent.
        parent = chance.choice(best[: chance.choice([1, 3, 8])])[2]
        child = change(parent, chance)
        best = sorted([*best, (cost(child), tried, child)], reverse=True)[:8]
    print(f"seed {SEED}: tried {tried}, worst {best[0][0] * 1000:.0f} ms: {best[0][2]!r:.300}")
    return best[0][2]


def check_template(body: bytes, is_json: bool) -> None:
    with suppress(Invalid, Malformed):
        parsed = template_parser.read(body, is_json=is_json)
        template_parser.check_allowed(parsed, ALLOWED)


def test_no_repeated_text_is_found_that_takes_more_than_a_second() -> None:
    def cost(unit: Unit, size: int = SMALL) -> float:
        body = unit.text(size).encode("utf-8", "replace")[:size]
        return seconds(lambda: check_template(body, unit.is_json))

    start = [Unit((), (token,), is_json) for token in TOKENS for is_json in (False, True)]
    worst = climb(start, lambda unit, chance: unit.changed(chance, TOKENS), cost)

    body = worst.text(SIZE).encode()[:SIZE]
    assert least_of(lambda: check_template(body, worst.is_json)) < MOST_SECONDS, worst


def test_no_template_is_found_that_takes_more_than_a_second() -> None:
    """Generators with other shapes, and two of them in one template."""

    def body(genes: tuple[str, int, str, int, int], size: int) -> tuple[bytes, bool]:
        first, one, second, other, share = genes
        left, is_json = KINDS[first](size * share // 100, one)
        right, also_json = KINDS[second](size * (100 - share) // 100, other)
        if not (is_json and also_json):
            return KINDS[first](size, one)
        # Some kinds are no JSON, no mapping, or too deep for Python's own encoder.
        with suppress(ValueError, RecursionError, AttributeError, TypeError):
            merged: dict[str, Any] = json.loads(left)
            for name, section in json.loads(right).items():
                there = merged.get(name)
                is_merged = isinstance(there, dict) and isinstance(section, dict)
                merged[name] = {**there, **section} if is_merged else section  # type: ignore[dict-item]
            return json.dumps(merged).encode(), True
        return left, True

    def cost(genes: tuple[str, int, str, int, int]) -> float:
        made, is_json = body(genes, SMALL)
        return seconds(lambda: check_template(made, is_json))

    def change(genes: tuple[Any, ...], chance: random.Random) -> tuple[Any, ...]:
        changed, at = list(genes), chance.randrange(5)
        if at in (0, 2):
            changed[at] = chance.choice(list(KINDS))
        elif at == 4:
            changed[at] = chance.randrange(5, 96)
        else:
            changed[at] = chance.choice(
                [chance.randrange(600), max(0, changed[at] + chance.choice([-1, 1]))]
            )
        return tuple(changed)

    worst = climb([(name, 7, name, 3, 50) for name in KINDS], change, cost)

    made, is_json = body(worst, SIZE)
    assert len(made) <= SIZE * 1.05
    assert least_of(lambda: check_template(made, is_json)) < MOST_SECONDS, worst


def test_no_pattern_is_found_that_takes_more_than_a_second() -> None:
    names = [f"P{n}" for n in range(200)]

    def request(unit: Unit, parameters: int) -> Callable[[], None]:
        pattern, text = "".join(unit.head), unit.text(4000)[-3000:]
        some = names[:parameters]
        declared = [
            Parameter.model_validate({"name": name, "type": "String", "allowed_pattern": pattern})
            for name in some
        ]

        def check() -> None:
            with suppress(Invalid):
                inputs.checked(declared, dict.fromkeys(some, text))

        return check

    start = [Unit((token, "*"), ("a",), False) for token in PATTERN_TOKENS]
    worst = climb(
        start,
        lambda unit, chance: unit.changed(chance, PATTERN_TOKENS),
        lambda unit: seconds(request(unit, 20)),
    )

    assert least_of(request(worst, 200)) < MOST_SECONDS, worst


@pytest.mark.parametrize("kind", KINDS)
def test_the_cost_of_a_template_grows_with_its_size_and_no_faster(kind: str) -> None:
    """Twice the size takes about twice the time: nothing in the checks is quadratic."""
    made = [KINDS[kind](size, 7) for size in (125_000, 250_000, 500_000)]

    times = [least_of(functools.partial(check_template, *each)) for each in made]

    # Four times the size; sixteen times the time would be quadratic. Short times vary too much.
    assert times[2] < max(0.4, 10 * times[0]), times
