"""10,000 races of requests with a revocation: each request ends as its first read says.

A request may be served if it has read before the revocation is written. One that reads later is
refused, whatever else goes on at the same time. The revocation comes before, between and after the
calls of the requests, which are the real handlers'.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from slipway.access import api_tokens
from slipway.aws import dynamodb
from slipway.domain import credentials, ids
from slipway.domain.api_token import NewToken
from slipway.domain.credentials import API_TOKEN, Credential
from slipway.domain.ids import ProjectId
from slipway.store import account_records, table, token_records
from tests.support.api.client import Client
from tests.support.lambda_environment import ACCOUNT, REGION
from tests.support.store import world

pytestmark = [pytest.mark.no_cover, pytest.mark.independent]

TOKENS, ME = "/api/v1/auth/tokens", "/api/v1/auth/me"
BATCHES, OF_EACH, TIMES, PARTS = 10, 50, 4, 5
MANY = NewToken(name="CI", kind="ci", scopes=["read", "config"])


class Races:
    """Tokens of ann, requests with them, and the revocation that they race with."""

    def __init__(self, ann: Client, project: ProjectId, seed: int) -> None:
        self.ann = ann
        self.project = project
        self.other = world.project(ann.principal, "changed during a revocation")
        self.chance = random.Random(seed)
        self.counts = {"served": 0, "refused": 0}
        self.is_revoked = False
        self.number = 0

    def tokens(self) -> list[Client]:
        """New tokens, in the table without a request for each of them."""
        [account] = table.get(account_records.key(self.ann.user_id))
        made = []
        for _ in range(OF_EACH):
            token = Credential(
                API_TOKEN, self.ann.user_id, ids.new_part(), credentials.new_secret()
            )
            id_, hash_ = api_tokens.id_of(token), api_tokens.keyed_hash(token)
            table.write(token_records.writes(token_records.new(id_, MANY, hash_, account, None))[0])
            made.append(Client(token.text, str(id_)))
        return made

    def send(self, client: Client) -> None:
        """A request that reads or writes; the answer must be the one of its beginning."""
        expected = self.is_revoked
        reads = self.chance.random() < 0.99
        status = client.get(ME).status if reads else self.change(client, self.project)
        assert status == (401 if expected else 200), (status, expected, self.number)
        self.counts["refused" if expected else "served"] += 1

    def change(self, client: Client, project: ProjectId) -> int:
        self.number += 1
        wanted = json.dumps({"description": f"change {self.number}"})
        return client.send("PATCH", f"/api/v1/projects/{project}", wanted).status


@pytest.fixture(autouse=True)
def _quick(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of keys come from moto's table without its parsing; what may fail is not sent."""
    real = dynamodb.together
    held = dynamodb_backends[ACCOUNT][REGION]

    def together(*calls: tuple[str, Any], aside: Any = None) -> Any:
        if [operation for operation, _ in calls] == ["BatchGetItem"]:
            keys = calls[0][1]["RequestItems"]["slipway"]["Keys"]
            found = [held.get_item("slipway", key) for key in keys]
            plain = [item.to_json()["Attributes"] for item in found if item]
            answers: list[Any] = [{"Responses": {"slipway": plain}}]
        else:
            answers = real(*calls)
        return [*answers, {}] if aside else answers

    monkeypatch.setattr(dynamodb, "together", together)


@contextmanager
def before_each_write(action: Callable[[], None]) -> Iterator[None]:
    """The first transaction in the block finds that `action` was there before it."""
    real = dynamodb.together
    left = [action]

    def together(*calls: tuple[str, Any], **aside: Any) -> Any:
        if left and calls[0][0] == "TransactWriteItems":
            left.pop()()
        return real(*calls, **aside)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamodb, "together", together)
        yield


def race(races: Races) -> None:
    """Requests before the revocation, while it is under way, and after it."""
    tokens = races.tokens()
    trigger = tokens[0]
    others = tokens * TIMES
    races.chance.shuffle(others)
    first, second = sorted(races.chance.sample(range(len(others)), 2))
    before, meanwhile, after = others[:first], others[first:second], others[second:]

    def revoke() -> None:
        def under_way() -> None:
            for client in meanwhile:
                races.send(client)

        with before_each_write(under_way):
            assert races.ann.delete(TOKENS).status == 204
        races.is_revoked = True

    races.is_revoked = False
    for client in before:
        races.send(client)
    # A change that has read may be written; the revocation comes between the two.
    with before_each_write(revoke):
        assert races.change(trigger, races.other) == 200
    races.counts["served"] += 1
    for client in after:
        races.send(client)
    for client in races.chance.sample(tokens, 3):
        races.send(client)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_request_that_begins_after_the_revocation_is_served(
    ann: Client, project: ProjectId, record_property: Any, part: int
) -> None:
    races = Races(ann, project, part)

    for _ in range(BATCHES):
        race(races)

    assert sum(races.counts.values()) >= BATCHES * OF_EACH * TIMES
    assert min(races.counts.values()) > BATCHES * OF_EACH * TIMES / 10


def test_the_same_of_one_token_whose_neighbours_live(ann: Client, project: ProjectId) -> None:
    races = Races(ann, project, 0)
    tokens = races.tokens()[:20]

    while tokens:
        revoked = tokens.pop(races.chance.randrange(len(tokens)))
        with before_each_write(partial(races.send, revoked)):
            assert ann.delete(f"{TOKENS}/{revoked.user_id}").status == 204
        races.is_revoked = True
        races.send(revoked)
        races.is_revoked = False
        for client in tokens[:3]:
            races.send(client)


def test_these_are_ten_thousand_races() -> None:
    assert PARTS * BATCHES * OF_EACH * TIMES == 10_000
