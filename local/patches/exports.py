"""An export name is unique, and an export in use cannot be changed.

Defects: the stock service lets a later stack take over an export name, changes and removes exports
that are in use, and keeps those that a template no longer has. CloudFormation refuses the first
three; see "Get exported outputs from a deployed stack" in its user guide. Stock DeleteStack refuses
to delete a stack whose export is in use; CloudFormation takes the request and returns the stack to
its state, with the reason in its last event (serverless/serverless, issue 2984, has the events, and
aws/aws-cdk, issue 604, the stack).
"""

from typing import Any

Exports = dict[str, dict[str, str]]


def patch(module: Any) -> None:
    stock = module._resolve_stack_outputs

    def resolve(*arguments: Any) -> tuple[Any, Exports]:
        outputs, exports = stock(*arguments)
        stack_name, stack_id = arguments[-2:]
        from ministack.services.cloudformation import _exports, _stacks

        for name in exports:
            owner = _exports.get(name, {}).get("StackId", stack_id)
            if owner != stack_id:
                other = owner.split("/")[1]
                raise ValueError(f"Export with name {name} is already exported by stack {other}.")
        mine = {n: e for n, e in _exports.items() if e.get("StackId") == stack_id}
        for name, export in mine.items():
            now = exports.get(name)
            if now and now["Value"] == export["Value"]:
                continue
            if users := _importers(name, stack_name, _stacks):
                what = "updated" if now else "deleted"
                raise ValueError(f"Export {name} cannot be {what} as it is in use by {users}")
        for name in mine:
            if name not in exports:  # nothing can fail from here on
                _exports.pop(name, None)
        return outputs, exports

    module._resolve_stack_outputs = resolve


def patch_deletion(module: Any) -> None:
    stock = module._ACTION_HANDLERS["DeleteStack"]

    def delete(params: Any) -> Any:
        from ministack.services.cloudformation import _stacks

        name = module._p(params, "StackName")
        stack = module._resolve_stack(name) if name else None
        if stack and stack.get("StackStatus") != "DELETE_COMPLETE":
            for output in stack.get("Outputs", []):
                if (export := output.get("ExportName")) and (
                    users := _importers(export, stack["StackName"], _stacks)
                ):
                    _return(stack, f"Export {export} cannot be deleted as it is in use by {users}")
                    return module._xml(200, "DeleteStackResponse", "")
        return stock(params)

    module._ACTION_HANDLERS["DeleteStack"] = delete


def _return(stack: dict[str, Any], reason: str) -> None:
    from ministack.services.cloudformation.stacks import _add_event

    stack["StackStatusReason"] = reason
    stack_id, name, state = stack["StackId"], stack["StackName"], stack["StackStatus"]
    for status, why in (("DELETE_IN_PROGRESS", "User Initiated"), (state, reason)):
        _add_event(stack_id, name, name, "AWS::CloudFormation::Stack", status, why, stack_id)


def _importers(export: str, exporter: str, stacks: Any) -> str:
    """The stacks that import the export."""
    from ministack.services.cloudformation.handlers import _imported_export_names

    return " and ".join(
        name
        for name, stack in stacks.items()
        if name != exporter
        and stack.get("StackStatus", "") not in ("DELETE_COMPLETE", "ROLLBACK_COMPLETE")
        and export in _imported_export_names(stack, name)
    )


TARGETS = {
    "ministack.services.cloudformation.handlers": patch_deletion,
    "ministack.services.cloudformation.stacks": patch,
}
