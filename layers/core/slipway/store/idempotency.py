"""What was answered to a request that names itself (`Idempotency-Key`), by Powertools' utility.

A record is written before the request is carried out and completed after it; a refusal leaves
none. If a function dies in between, the key is free again when the function's time would have
been up; what it wrote by then stands, and names that are unique keep a repeat from doubling it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.errors import IdempotencyKeyReused, RequestInProgress, StoreUnavailable
from slipway.settings import settings
from slipway.store import table

KEPT_SECONDS = 24 * 60 * 60


def once(
    owner: str, key: str, request: str, carry_out: Callable[[], dict[str, Any]], context: Any
) -> tuple[dict[str, Any], bool]:
    """The answer to the owner's request of this key, and whether it had been given before.

    `request` is what must be the same whenever the key is. Four round trips more than without
    a key the first time, two to replay. Raises IdempotencyKeyReused, RequestInProgress.
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
        expires_after_seconds=KEPT_SECONDS,
        hash_function="sha256",
        lambda_context=context,
    )
    carried_out = []

    def first(*, named: dict[str, str]) -> dict[str, Any]:
        carried_out.append(named)
        return carry_out()

    guarded = idempotent_function(
        first,
        data_keyword_argument="named",
        persistence_store=layer,
        config=config,
        key_prefix="ANSWER",
    )
    try:
        answer: dict[str, Any] = guarded(named={"key": key, "request": request})
    except exceptions.IdempotencyValidationError:
        raise IdempotencyKeyReused() from None
    except (
        exceptions.IdempotencyAlreadyInProgressError,
        exceptions.IdempotencyInconsistentStateError,
    ):
        raise RequestInProgress() from None
    except exceptions.IdempotencyPersistenceLayerError as error:
        raise StoreUnavailable(str(error)) from error
    return answer, not carried_out
