"""The emulator's stores: what a save of the data has in it, and how it comes back.

It runs inside the emulator's process; `captured` in a copy of it, where nobody may wait for locks.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from local.kept import Stores
from local.patches import resumed_executions, stack_operations, stream_batches

SERVICES = "ministack.services."
# State of a process, which would be wrong or useless in the next one.
NOT_KEPT = frozenset(
    {
        "apigateway._jwks_cache",
        "apigateway._oidc_config_cache",
        "iam._aws_managed_policies",
        "lambda_svc._esm_backoff_until",
        "stepfunctions._activity_tasks",
        "stepfunctions._sfn_mock_config",
        "stepfunctions._task_tokens",
    }
)
# The signals of wait conditions are in a store that is an ordinary dict.
_HANDLES = "cloudformation.wait_conditions._handles"
_MODULE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
# State that is kept beside the stores.
_SEQUENCE, _POSITIONS, _OPERATIONS = "stream sequence", "executions", "stack operations"


def captured() -> Stores:
    """The content of all stores, by their names, such as `dynamodb._tables`."""
    from ministack.services import dynamodb

    found = {name: content for name, content in _stores() if name not in NOT_KEPT}
    for table in found.get("dynamodb._tables", {}).values():
        table.pop(dynamodb._INDEX_MEMBERS, None)  # it is built when it is needed
    if "lambda_svc._dynamodb_stream_positions" in found:
        found["lambda_svc._dynamodb_stream_positions"] = stream_batches.undelivered_positions()
    return {
        **found,
        _SEQUENCE: dynamodb._stream_seq_counter,
        _POSITIONS: resumed_executions.positions(),
        _OPERATIONS: stack_operations.under_way(),
    }


def restore(stores: Stores, moved: dict[str, str]) -> None:
    """Fill the stores of this process, which has none yet.

    `moved` has the origins of URLs that have changed since, and what they are now.
    """
    from ministack.services import dynamodb

    moved = {old: new for old, new in moved.items() if old != new}
    if moved:
        # A port may also follow as the beginning of another one.
        pattern = re.compile("|".join(rf"{re.escape(old)}(?!\d)" for old in moved))
        stores = _replaced(stores, pattern, moved)
    dynamodb._stream_seq_counter = stores.pop(_SEQUENCE)
    resumed_executions.interrupted.update(stores.pop(_POSITIONS))
    stack_operations.interrupted.update(stores.pop(_OPERATIONS))
    for name, content in stores.items():
        module, _, store = name.rpartition(".")
        assert _MODULE.fullmatch(module), module
        found = getattr(importlib.import_module(SERVICES + module), store)
        getattr(found, "_data", found).update(content)


def resume() -> None:
    """Continue what was under way when the stores were saved. The event loop must run."""
    from ministack.services import lambda_svc

    for function in lambda_svc._functions._data.values():
        for each in (function, *(function.get("versions") or {}).values()):
            _activate(each.get("config") or {})
    if lambda_svc._esms.has_any():
        lambda_svc._ensure_poller()
    stack_operations.resume()
    resumed_executions.resume()


def _activate(config: dict[str, Any]) -> None:
    """End the state in which Lambda prepares a function; the thread that would do it is gone."""
    if config.get("State") == "Pending":
        config["State"] = "Active"
    if config.get("LastUpdateStatus") == "InProgress":
        config["LastUpdateStatus"] = "Successful"


def _stores() -> Iterator[tuple[str, Any]]:
    """The content of each store of the services that are in use, once, with its name."""
    from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict
    from ministack.services.cloudformation import wait_conditions

    yield _HANDLES, wait_conditions._handles

    seen: set[int] = set()
    for path, module in sorted(sys.modules.items()):
        if not path.startswith(SERVICES):
            continue
        for name, value in vars(module).items():
            is_store = isinstance(value, AccountRegionScopedDict | AccountScopedDict)
            if is_store and id(value) not in seen:
                seen.add(id(value))
                yield f"{path.removeprefix(SERVICES)}.{name}", value._data


def _replaced(node: Any, pattern: re.Pattern[str], moved: dict[str, str]) -> Any:
    """The node with other origins in its texts. Dicts and lists stay the same objects."""
    if isinstance(node, str):
        return pattern.sub(lambda found: moved[found[0]], node)
    if isinstance(node, list):
        node[:] = [_replaced(each, pattern, moved) for each in node]
    elif isinstance(node, dict):
        content = [
            (_replaced(key, pattern, moved), _replaced(value, pattern, moved))
            for key, value in node.items()
        ]
        node.clear()
        node.update(content)
    elif type(node) is tuple:
        return tuple(_replaced(each, pattern, moved) for each in node)
    return node
