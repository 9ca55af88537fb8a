"""A stack's parameters are validated as CloudFormation does it, with its messages.

Defects: the stock engine ignores a parameter that the template does not declare, names only the
first of several missing values, has its own message for a ConstraintDescription, and quotes the
refused value, even a secret's.
"""

import re
from typing import Any

_NOT_ALLOWED = re.compile(r"Parameter '(?P<name>[^']*)' value '.*' is not in AllowedValues: ", re.S)
_NO_NUMBER = re.compile(
    r"Parameter '(?P<name>[^']*)' value '.*' is not a valid (List<)?Number", re.S
)


def patch(module: Any) -> None:
    stock_resolve, stock_error = module._resolve_parameters, module._constraint_error

    def constraint_error(name: str, declaration: dict[str, Any], reason: str) -> ValueError:
        if description := declaration.get("ConstraintDescription"):
            return ValueError(f"Parameter {name} failed to satisfy constraint: {description}")
        error: ValueError = stock_error(name, declaration, reason)
        return error

    def resolve(
        template: dict[str, Any], provided: list[dict[str, Any]], previous: Any = None
    ) -> dict[str, Any]:
        declared = template.get("Parameters") or {}
        _check_names(declared, provided, previous or {})
        try:
            resolved: dict[str, Any] = stock_resolve(template, provided, previous)
        except ValueError as error:
            if found := _NOT_ALLOWED.match(str(error)):
                name = found["name"]
                words = "must be one of AllowedValues"
                raise constraint_error(name, declared[name], words) from error
            if found := _NO_NUMBER.match(str(error)):
                raise ValueError(f"Parameter '{found['name']}' must be a number.") from error
            raise
        return resolved

    module._resolve_parameters, module._constraint_error = resolve, constraint_error


def _check_names(
    declared: dict[str, Any], provided: list[dict[str, Any]], previous: dict[str, Any]
) -> None:
    """Raises ValueError if a parameter is unknown, or has no value and no default."""
    given = {entry["Key"]: entry for entry in provided if "Key" in entry}
    if unknown := [name for name in given if name not in declared]:
        raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [
        name
        for name, declaration in declared.items()
        if "Default" not in declaration
        and (name not in given or (given[name].get("UsePreviousValue") and name not in previous))
    ]
    if missing:
        raise ValueError(f"Parameters: [{', '.join(missing)}] must have values")


TARGETS = {"ministack.services.cloudformation.engine": patch}
