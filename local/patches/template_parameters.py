"""A stack's parameters are validated as CloudFormation does it, with its messages.

Defects: the stock engine ignores a parameter that the template does not declare, names only the
first of several missing values, has its own message for a ConstraintDescription, and quotes the
refused value, even a secret's. What it reads in the parameter store it reads for everyone, holds
the value against the constraints and not the name, and reads SecureStrings. The real service asks
for the caller's right, even if a role is given: the CDK's role for deployments has it, with a
comment that says so
(https://github.com/aws/aws-cdk-cli/blob/main/packages/aws-cdk/lib/api/bootstrap/bootstrap-template.yaml).
"""

import re
from typing import Any

from local import iam
from local.patches import iam_stacks

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
            template = _with_names_checked(stock_resolve, template, provided, previous or {})
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


_CONSTRAINTS = ("AllowedValues", "AllowedPattern", "MinLength", "MaxLength")


def _with_names_checked(
    stock: Any, template: dict[str, Any], provided: list[dict[str, Any]], previous: dict[str, Any]
) -> dict[str, Any]:
    """The template without the constraints of parameters that name what is read in the store.

    Raises ValueError if a name breaks one, stands for nothing, or is out of the caller's reach.
    """
    declared = template.get("Parameters") or {}
    read = {
        name: declaration
        for name, declaration in declared.items()
        if str(declaration.get("Type")).startswith("AWS::SSM::Parameter::Value<")
    }
    if not read:
        return template
    as_texts = {name: declaration | {"Type": "String"} for name, declaration in read.items()}
    before = {n: {"Value": each["SsmName"]} for n, each in previous.items() if "SsmName" in each}
    names = stock({"Parameters": as_texts}, provided, before)
    _check_store([str(each["Value"]) for each in names.values()])
    free = {
        name: {key: value for key, value in declaration.items() if key not in _CONSTRAINTS}
        for name, declaration in read.items()
    }
    return template | {"Parameters": declared | free}


def _check_store(names: list[str]) -> None:
    from ministack.services import ssm

    if (by := iam_stacks.caller()) and iam.denial(*by, map(_read_check, names)):
        raise ValueError("AccessDenied. User doesn't have permission to call ssm:GetParameters")
    found = {name: ssm._select_parameter(name)[0] for name in names}
    if missing := ", ".join(name for name, each in found.items() if not each):
        raise ValueError(
            f"Unable to fetch parameters [{missing}] from parameter store for this account."
        )
    if secret := ", ".join(name for name, each in found.items() if each["Type"] == "SecureString"):
        raise ValueError(
            f"Parameters [{secret}] referenced by template have types not supported by "
            "CloudFormation."
        )


def _read_check(name: str) -> iam.Check:
    """AWS's own parameters have no account."""
    where = iam_stacks._resource("", "", {})
    path = f"parameter/{name.lstrip('/')}"
    if name.startswith("/aws/"):
        return iam.Check("ssm:GetParameters", f"arn:aws:ssm:{where.region}::{path}")
    return iam.Check("ssm:GetParameters", where.arn("ssm", path))


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
