"""AWS's action and resource are used to authorize a signed request.

Defects of the stock authorization:
- Lambda's actions come from an incomplete table with errors: reading a function's concurrency is
  PutFunctionConcurrency there;
- most calls of Systems Manager have no resource, and EventBridge's default bus has a wrong one;
- only the action is checked: no iam:PassRole, no s3:GetObject for a template's URL;
- conditions have no keys: iam:PermissionsBoundary, iam:PassedToService, lambda:FunctionArn,
  dynamodb:LeadingKeys;
- unknown calls of Lambda are allowed.
"""

from typing import Any

from local import leading_keys
from local.iam import Check, Target
from local.iam_requests import LAMBDA_ACTIONS, Request, checks


def patch(module: Any) -> None:
    stock_action, stock_resource = module.extract_iam_action, module.extract_resource_arn
    module._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]

    def action(
        service: str, method: str, path: str, headers: Any, body: bytes, params: Any
    ) -> str | None:
        if service == "lambda":
            name = module._match_rest_action(service, method, path, params)
            return f"lambda:{LAMBDA_ACTIONS.get(name, name)}" if name else None
        found: str | None = stock_action(service, method, path, headers, body, params)
        return found

    def resource(
        service: str,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        params: Any,
        region: str,
        account: str,
    ) -> str:
        found: str = stock_resource(service, method, path, headers, body, params, region, account)
        name = action(service, method, path, headers, body, params)
        if name is None:
            return found
        first, *also = checks(Request(name, path, body, params, region, account), found)
        return Target.of(first, also)

    module.extract_iam_action, module.extract_resource_arn = action, resource
    _add_leading_keys(module)


def _add_leading_keys(module: Any) -> None:
    """Give each table of a batch, and each part of a transaction, its own condition keys."""
    stock_tables = module.dynamodb_resource_arns

    def tables(body: bytes, region: str, account: str) -> list[Target]:
        batch = leading_keys.members(body).get("RequestItems")
        batch = batch if isinstance(batch, dict) else {}
        contexts = [
            leading_keys.context(leading_keys.of_batch(requests, name))
            for name, requests in batch.items()
        ]
        found = stock_tables(body, region, account)
        contexts += [{}] * (len(found) - len(contexts))
        return [Target.of(Check("", arn, keys)) for arn, keys in zip(found, contexts, strict=False)]

    def parts(action: str, body: bytes, region: str, account: str) -> list[tuple[str, Target]]:
        if action not in ("dynamodb:TransactWriteItems", "dynamodb:TransactGetItems"):
            return []
        items = leading_keys.members(body).get("TransactItems")
        return [
            (verb, Target.of(Check(verb, module._dynamodb_table_arn(table, region, account), keys)))
            for item in (items if isinstance(items, list) else [])
            for member, verb in module._DYNAMODB_TRANSACT_ITEM_ACTIONS.items()
            if isinstance(item, dict) and isinstance(detail := item.get(member), dict)
            if isinstance(table := detail.get("TableName"), str) and table
            for keys in [leading_keys.context(leading_keys.of_item(detail, table))]
        ]

    module.dynamodb_resource_arns, module.dynamodb_transaction_checks = tables, parts


def patch_secrets(module: Any) -> None:
    """provisioners: Ref of a secret is its ARN, which policies refer to.

    Defect: the stock Ref is the secret's name, which is not a resource in a policy.
    """
    secret = module._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    stock = dict(secret)

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        _, attributes = stock["create"](logical_id, properties, stack)
        return attributes["Arn"], attributes

    def update(arn: str, *args: Any) -> Any:
        _, attributes = stock["update"](_name(module, arn), *args)
        return attributes["Arn"], attributes

    def delete(arn: str, properties: dict[str, Any]) -> None:
        stock["delete"](_name(module, arn), properties)

    secret |= {"create": create, "update": update, "delete": delete}


def _name(module: Any, arn: str) -> str:
    name, _ = module._sm._resolve(arn)
    return str(name or arn)


def patch_roles(module: Any) -> None:
    """provisioners: a template's role gets the permissions boundary that the template declares.

    Defect: the stock role has none, so that only its policies limit it.
    """
    role = module._RESOURCE_HANDLERS["AWS::IAM::Role"]
    stock = dict(role)

    def bound(name: str, properties: dict[str, Any]) -> None:
        module._iam._roles[name]["PermissionsBoundary"] = properties.get("PermissionsBoundary")

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name, attributes = stock["create"](logical_id, properties, stack)
        bound(name, properties)
        return name, attributes

    def update(name: str, old: dict[str, Any], new: dict[str, Any], *more: Any) -> Any:
        name, attributes = stock["update"](name, old, new, *more)
        bound(name, new)
        return name, attributes

    role |= {"create": create, "update": update}


def patch_resources(module: Any) -> None:
    patch_roles(module)
    patch_secrets(module)


TARGETS = {
    "ministack.core.iam_actions": patch,
    "ministack.services.cloudformation.provisioners": patch_resources,
}
