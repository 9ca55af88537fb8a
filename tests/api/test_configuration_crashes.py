"""A process that changes variables or secrets dies at each of its calls, before or after it.

The client sends the request again. Then nothing is half done, and once the clean-up records are
carried out, the parameter store has exactly the values that a level names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from slipway import aws
from slipway.aws import dynamodb
from slipway.domain import configuration
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import stored_secrets
from slipway.store import table
from slipway.store.wire import decode
from tests.support.api.client import Answer, Client
from tests.support.secret_store import stored
from tests.support.store import world

Request = tuple[str, str, Any]
# Requests by the routes that they stand for, and what the second one of the same may be told.
REQUESTS: dict[str, tuple[Request, set[int]]] = {
    "change variables": (("PATCH", "{}/variables", {"B": "2"}), {200}),
    "set a secret": (("PUT", "{}/secrets/SECRET", {"value": "new"}), {200}),
    "remove a secret": (("DELETE", "{}/secrets/SECRET", None), {200, 404}),
    "reveal a secret": (("POST", "{}/secrets/SECRET/reveal", None), {200}),
    "purge a value": (("POST", "{}/configurations/purge", {"name": "SECRET"}), {200}),
    "restore": (("POST", "{}/configurations/1/restore", None), {200}),
}


class Dies(BaseException):
    pass


class Calls:
    """The n-th call dies, before it is made or after it; 0 for none."""

    def __init__(self, patch: pytest.MonkeyPatch, n: int, *, after: bool) -> None:
        self.made, self.n, self.after = 0, n, after
        self._tables, self._services = dynamodb.together, aws.call
        patch.setattr(dynamodb, "together", lambda *a, **k: self._one(self._tables, *a, **k))
        patch.setattr(aws, "call", lambda *a, **k: self._one(self._services, *a, **k))

    def _one(self, real: Any, *positional: Any, **named: Any) -> Any:
        self.made += 1
        if self.made != self.n:
            return real(*positional, **named)
        if self.after:
            real(*positional, **named)
        raise Dies


def send(client: Client, request: Request, target: str) -> Answer:
    method, path, body = request
    text = None if body is None else json.dumps(body)
    return client.send(method, path.format(target), text)


def items() -> list[dict[str, Any]]:
    return [decode(each) for each in world.everything()]


def named() -> Iterator[str]:
    """The places that levels name."""
    for item in items():
        if item["sk"].startswith("CONFIG#") and "data" in item:
            level = configuration.unpacked([item["data"]])
            for values in level["stored"].values():
                yield from (place for _, place in values)


@pytest.mark.parametrize("of", ["environments", "projects"])
@pytest.mark.parametrize("name", REQUESTS)
def test_a_change_that_dies_anywhere_is_done_or_not_and_leaves_no_secret(
    name: str, of: str, ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    if (of, name) == ("projects", "restore"):
        pytest.skip("a project has no configurations of its own")
    request, told = REQUESTS[name]
    target = f"/api/v1/{of}/{environment if of == 'environments' else project}"
    send(ann, ("PATCH", "{}/variables", {"A": "1"}), target)
    send(ann, ("PUT", "{}/secrets/SECRET", {"value": "old"}), target)
    again = world.as_now()
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch, 0, after=False)
        assert send(ann, request, target).status == 200
    assert calls.made >= 2
    kept = stored()
    for n in range(1, calls.made + 1):
        for after in (False, True):
            again()
            _put_back(kept)
            with pytest.MonkeyPatch.context() as patch:
                Calls(patch, n, after=after)
                with pytest.raises(Dies):
                    send(ann, request, target)
            assert send(ann, request, target).status in told, (n, after)
            for note in items():
                if note["sk"].startswith("SECRETS_STORED#"):
                    stored_secrets.carry_out(table.Key(note["pk"], note["sk"]), note)
            assert {*stored()} == {*named()}, (n, after)
            numbers = [i["number"] for i in items() if i["sk"].startswith("CONFIGURATION#")]
            assert sorted(numbers) == [*range(1, len(numbers) + 1)]


def _put_back(values: dict[str, str]) -> None:
    """The parameter store as it was: the values that levels name by now."""
    import boto3

    from slipway.aws import secret_values
    from slipway.settings import settings

    ssm = boto3.client("ssm", region_name=settings().region)
    wanted = {*named()}
    for place in {*stored()} - wanted:
        ssm.delete_parameter(Name=secret_values.path(place))
    for place in wanted - {*stored()}:
        ssm.put_parameter(
            Name=secret_values.path(place), Value=values.get(place, "old"), Type="SecureString"
        )
