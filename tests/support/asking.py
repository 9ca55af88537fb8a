"""A machine whose destructive requests wait for a person, as services see it."""

from __future__ import annotations

from slipway.access import asking
from slipway.access.principal import Principal
from slipway.domain.ids import ConfirmationId, EnvironmentId, parse_confirmation
from slipway.domain.rights import SCOPES, Grant
from slipway.errors import ConfirmationNeeded
from slipway.services import teardowns
from slipway.store.sessions import Session


class _Agent(Session):
    kind = "agent"


def agent_of(user_id: str) -> Principal:
    """An agent with all scopes, whose token is the user's."""
    token = f"tok_{user_id.removeprefix('usr_')}_0123456789abcdefghjk"
    session = _Agent(user_id, token, "")
    session.name, session.grant = "a machine", Grant(frozenset(SCOPES))
    return Principal(user_id, "environments:destroy", session)


def ask_to_delete(user_id: str, environment: EnvironmentId) -> ConfirmationId:
    """The DELETE of the user's agent, which has to wait."""
    path = f"/api/v1/environments/{environment}"
    try:
        teardowns.begin(environment, agent_of(user_id), None)
    except ConfirmationNeeded as needed:
        shown = asking.ask(needed, {"method": "DELETE", "path": path}, "api.example.com")
        return parse_confirmation(shown.id)
    raise AssertionError("it did not have to wait")
