"""An operation that a stack's state does not allow is refused with AWS's message.

Defects: stock UpdateStack has its own message, and reports that a deleted stack, named by its id,
does not exist; stock CreateChangeSet accepts a stack that is being changed. See LocalStack's
recordings cloudformation/api test_update_stack (test_update_deleted_stack) and test_changesets
(test_changeset_for_deleted_stack).
"""

from typing import Any

UPDATABLE = (
    "CREATE_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
)


def patch(module: Any) -> None:
    handlers = module._ACTION_HANDLERS

    def refusing(action: str) -> Any:
        stock = handlers[action]

        def handle(params: Any) -> Any:
            name = module._p(params, "StackName")
            stack = module._resolve_stack(name) if name else None
            state = stack.get("StackStatus", "") if stack else ""
            creates = module._p(params, "ChangeSetType") in ("CREATE", "IMPORT")
            by_id = name.startswith("arn:")
            is_there = state and (by_id or state != "DELETE_COMPLETE")
            if stack and is_there and not creates and state not in UPDATABLE:
                words = f"Stack:{stack['StackId']} is in {state} state and can not be updated."
                return module._error("ValidationError", words)
            return stock(params)

        return handle

    for action in ("UpdateStack", "CreateChangeSet"):
        handlers[action] = refusing(action)


TARGETS = {"ministack.services.cloudformation.handlers": patch}
