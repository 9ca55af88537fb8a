"""/confirmations: destructive requests of machines, which wait for a person."""

from slipway.access.principal import Principal
from slipway.domain.confirmation import Approval, Confirmation, Rejection
from slipway.domain.ids import ConfirmationId
from slipway.domain.paging import Page, Paging
from slipway.errors import (
    ConfirmationChanged,
    ConfirmationDecided,
    ConfirmationRequired,
    Forbidden,
    NotFound,
)
from slipway.http.app import Api
from slipway.http.routes import Confirmed
from slipway.services import confirmations

api = Api()
handler = api.handler


@api.get("/api/v1/confirmations", action="confirmations:list", refuses=(Forbidden,))
def list_(principal: Principal, paging: Paging) -> Page[Confirmation]:
    """List the requests of machines that you may confirm now, in all projects, newest first."""
    return confirmations.list_(principal, paging)


@api.get(
    "/api/v1/confirmations/<confirmation_id>",
    action="confirmations:read",
    refuses=(NotFound, Forbidden),
)
def get(principal: Principal, confirmation_id: ConfirmationId) -> Confirmation:
    """Read a request that waits for a person, and what came of it."""
    return confirmations.get(confirmation_id, principal)


@api.post(
    "/api/v1/confirmations/<confirmation_id>/approve",
    action="confirmations:decide",
    refuses=(NotFound, Forbidden, ConfirmationChanged, ConfirmationRequired, ConfirmationDecided),
)
def approve(
    principal: Principal,
    confirmation_id: ConfirmationId,
    approval: Approval | None,
    confirmed: Confirmed | None,
) -> Confirmation:
    """Approve the request, which is then carried out once, as the machine that asked."""
    digest = approval.digest if approval else None
    return confirmations.approve(confirmation_id, principal, digest, confirmed)


@api.post(
    "/api/v1/confirmations/<confirmation_id>/reject",
    action="confirmations:decide",
    refuses=(NotFound, Forbidden, ConfirmationDecided),
)
def reject(
    principal: Principal, confirmation_id: ConfirmationId, rejection: Rejection | None
) -> Confirmation:
    """Reject the request. It is never carried out."""
    return confirmations.reject(confirmation_id, principal, rejection.reason if rejection else None)
