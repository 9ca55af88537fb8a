"""A machine in the world of workflows, whose destructive requests wait for a person."""

from __future__ import annotations

from typing import Any

from slipway.domain.confirmation import Confirmation
from slipway.domain.ids import ConfirmationId, EnvironmentId, parse_confirmation
from slipway.domain.rights import SCOPES
from slipway.services import confirmations
from slipway.store import actions, confirmation_records
from slipway.store.table import Key, Put
from tests.support.asking import agent_of, ask_to_delete
from tests.support.workflows import stories
from tests.support.workflows.emulator import dynamodb
from tests.support.workflows.world import OWNER, USER, World

DAY = 24 * 3600.0
TOKEN = agent_of(USER).id


def _give_token() -> None:
    account = Key(f"ACCOUNT#{USER}", "ACCOUNT")
    _put(account, {"id": USER, "email": "ann@example.com", "status": "active"})
    _put(token(), {"id": TOKEN, "scopes": list(SCOPES), "ttl": 2**32})


def token() -> Key:
    """The key of the agent's token."""
    return Key(f"ACCOUNT#{USER}", f"TOKEN#{TOKEN.rpartition('_')[2]}")


def _put(key: Key, item: dict[str, Any]) -> None:
    status, _, body = dynamodb._put_item(actions.write_request(Put(key, item, condition=None)))
    assert status == 200, body


def asks_to_delete(environment: EnvironmentId) -> ConfirmationId:
    """The DELETE of the owner's agent, which has to wait."""
    _give_token()
    return ask_to_delete(USER, environment)


def approves(confirmation: ConfirmationId) -> Confirmation:
    return confirmations.approve(confirmation, OWNER.asking("confirmations:decide"))


def rejects(confirmation: ConfirmationId) -> Confirmation:
    return confirmations.reject(confirmation, OWNER.asking("confirmations:decide"), "No.")


def look(world: World, confirmation: ConfirmationId) -> Any:
    """The whole record."""
    return world.item(confirmation_records.key(confirmation))


# --- scenarios for the crash tests ------------------------------------------------------------


def confirmed(world: World) -> None:
    """A machine asks to delete an environment, and a person approves."""
    where = stories.environment(world)
    world.run(60)
    if world.look(where)["status"] != "running":
        return
    stories.ask(lambda: asks_to_delete(where))
    world.run(10)
    for each in _asked(world):
        stories.ask(lambda each=each: approves(each))  # type: ignore[misc]


def undecided(world: World) -> None:
    """A machine asks, and nobody decides for a day."""
    where = stories.environment(world)
    world.run(60)
    if world.look(where)["status"] != "running":
        return
    stories.ask(lambda: asks_to_delete(where))
    world.run(DAY)


def _asked(world: World) -> list[ConfirmationId]:
    return [parse_confirmation(item["id"]["S"]) for item in world.items("CONFIRMATION#")]
