"""A canceled transaction uses up its ClientRequestToken: another request with it is refused.

A possible defect: the stock table remembers a token only if the transaction succeeded. DynamoDB
documents that "you retried a request with a different payload but with an idempotent token that
was already used", but not whether a canceled transaction counts. The patch is strict, so that
nothing depends on the answer. The same request may be sent again and is evaluated again.
"""

from typing import Any

VALID_SECONDS = 600


def patch(module: Any) -> None:
    stock = module._transact_write_items
    canceled: dict[tuple[str, str, str], tuple[float, dict[str, Any]]] = {}

    def transact(data: dict[str, Any]) -> Any:
        token = data.get("ClientRequestToken")
        if not token:
            return stock(data)
        where = (module.get_account_id(), module.get_region(), token)
        payload = {name: value for name, value in data.items() if name != "ClientRequestToken"}
        now = module.time.time()
        at, seen = canceled.get(where, (0.0, payload))
        if seen != payload and now - at < VALID_SECONDS:
            return module.error_response_json(
                "IdempotentParameterMismatchException",
                "Request token already in use for another request with a different payload",
                400,
            )
        answer = stock(data)
        if answer[0] != 200:
            for old in [key for key, (then, _) in canceled.items() if now - then > VALID_SECONDS]:
                del canceled[old]
            canceled[where] = (now, payload)
        return answer

    module._transact_write_items = transact


TARGETS = {"ministack.services.dynamodb": patch}
