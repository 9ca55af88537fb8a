"""What was answered to a request that names itself (`Idempotency-Key`), by Powertools' utility.

A record is written before the request is carried out and completed after it; a refusal leaves
none. If a function dies in between, the key is free again when the function's time would have
been up. If it had carried the request out by then, the mark that it left with its write
(store/marks.py) keeps a repeat from doing it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway import ids
from slipway.errors import IdempotencyKeyReused, Refused, RequestInProgress, StoreUnavailable
from slipway.model.fields import Shown
from slipway.settings import settings
from slipway.store import deployments, environments, marks, projects, table, users
from slipway.store.table import Lost


def once(
    owner: str,
    key: str,
    request: str,
    carry_out: Callable[[], Shown],
    answer: Callable[[Shown], dict[str, Any]],
    context: Any,
) -> tuple[dict[str, Any], bool]:
    """The answer to the owner's request of this key, and whether it was carried out before.

    `request` is what must be the same whenever the key is. Two round trips more than without
    a key the first time, one to replay. Raises IdempotencyKeyReused, RequestInProgress.
    """
    # Imported here: only requests that name themselves pay for it.
    from aws_lambda_powertools.utilities.idempotency import (
        DynamoDBPersistenceLayer,
        IdempotencyConfig,
        exceptions,
        idempotent_function,
    )

    layer = DynamoDBPersistenceLayer(
        table_name=settings().table,
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value=f"IDEMPOTENCY#{owner}",
        expiry_attr="ttl",
        boto3_client=table.client(),
    )
    config = IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="request",
        expires_after_seconds=marks.KEPT_SECONDS,
        hash_function="sha256",
        lambda_context=context,
    )
    carried_out = []

    def first(*, named: dict[str, str]) -> dict[str, Any]:
        with marks.request(owner, key, request):
            try:
                result = carry_out()
            except (Refused, Lost):
                # Perhaps only because it was carried out before, and its answer was lost.
                done_to = marks.found()
                if done_to is None:
                    raise
                return answer(_as_it_is(done_to, owner))
        carried_out.append(named)
        return answer(result)

    guarded = idempotent_function(
        first,
        data_keyword_argument="named",
        persistence_store=layer,
        config=config,
        key_prefix="ANSWER",
    )
    try:
        given: dict[str, Any] = guarded(named={"key": key, "request": request})
    except exceptions.IdempotencyValidationError:
        raise IdempotencyKeyReused() from None
    except (
        exceptions.IdempotencyAlreadyInProgressError,
        exceptions.IdempotencyInconsistentStateError,
    ):
        raise RequestInProgress() from None
    except exceptions.IdempotencyPersistenceLayerError as error:
        raise StoreUnavailable(str(error)) from error
    return given, not carried_out


def _as_it_is(identity: str, user_id: str) -> Shown:
    kind = identity[:3]
    if kind == "usr":
        return users.get(identity)
    if kind == "prj":
        return projects.get(ids.parse_project(identity), user_id)
    if kind == "env":
        return environments.get(ids.parse_environment(identity), user_id)
    if kind == "tpl":
        from slipway.store import templates

        return templates.done(identity)
    return deployments.get(ids.parse_deployment(identity), user_id)
