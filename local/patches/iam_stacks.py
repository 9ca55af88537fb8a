"""CloudFormation acts on resources with the permissions of a role.

Defects: the stock service ignores RoleARN. It creates every resource, resolves dynamic references
and detects drift as the account's root user, for every caller.

A stack keeps the role that it was given last. Without one, the caller's permissions apply, and the
owner has all. local/iam_resources.py lists the permissions that are checked. A failed resource has
a reason like those in CloudFormation's events, of which
https://github.com/serverless/serverless/issues/11718 quotes one.
"""

import contextvars
import uuid
from typing import Any, NamedTuple

from local import iam
from local.iam_resources import ANY, Resource, checks
from slipway.domain.resource_types import NAMES, Named

TRUSTED = "cloudformation.amazonaws.com"
SESSION = "AWSCloudFormation"
# The names of services in the SDK, where they differ from the type's.
SDK = {"ApiGatewayV2": "ApiGatewayV2", "DynamoDB": "DynamoDb", "Logs": "CloudWatchLogs"}
STARTERS = ("CreateStack", "UpdateStack", "DeleteStack", "ContinueUpdateRollback", "RollbackStack")
# The name of the stack that is being deployed.
at_work: contextvars.ContextVar[str] = contextvars.ContextVar("at_work", default="")


class By(NamedTuple):
    """The role with which a stack is deployed, and its session's name."""

    role: str
    session: str


def caller() -> By | None:
    """The role of the current request; None for the owner."""
    from ministack.core import iam_evaluator
    from ministack.services import iam as roles

    _, assumed, rest = iam_evaluator.caller_arn().partition(":assumed-role/")
    name, _, session = rest.partition("/")
    role = roles._roles.get(name) if assumed else None
    return By(role["Arn"], session) if role else None


def acting(stack: str | None) -> By | None:
    from ministack.services import cloudformation

    found: By | None = (cloudformation._stacks.get(stack or "") or {}).get("_by")
    return found


# --- the operations on stacks -----------------------------------------------------------------


def patch_handlers(module: Any) -> None:
    actions = module._ACTION_HANDLERS
    for name in STARTERS:
        actions[name] = _checking_role(module, actions[name])
    stock_plan, stock_run = actions["CreateChangeSet"], actions["ExecuteChangeSet"]
    stock_describe = actions["DescribeStacks"]

    def plan(params: dict[str, Any]) -> Any:
        role = module._p(params, "RoleARN")
        if role and not iam.assumable(role, TRUSTED):
            return _role_refusal(module, role)
        answer = stock_plan(params)
        if answer[0] == 200 and role:
            _named_change_set(module, params)["RoleARN"] = role
        return answer

    def run(params: dict[str, Any]) -> Any:
        change_set = _named_change_set(module, params)
        role = change_set.get("RoleARN", "")
        answer = stock_run(params)
        if answer[0] == 200 and (stack := module._resolve_stack(change_set.get("StackId", ""))):
            _keep_role(stack, role)
        return answer

    def describe(params: dict[str, Any]) -> Any:
        from ministack.services import cloudformation

        status, headers, body = stock_describe(params)
        for stack in cloudformation._stacks.values():
            if role := stack.get("RoleARN"):
                member = f"<StackId>{stack['StackId']}</StackId>".encode()
                body = body.replace(member, member + f"<RoleARN>{role}</RoleARN>".encode())
        return status, headers, body

    actions |= {"CreateChangeSet": plan, "ExecuteChangeSet": run, "DescribeStacks": describe}


def _checking_role(module: Any, stock: Any) -> Any:
    def start(params: dict[str, Any]) -> Any:
        role = module._p(params, "RoleARN")
        if role and not iam.assumable(role, TRUSTED):
            return _role_refusal(module, role)
        answer = stock(params)
        # The deployment that the answer has started runs only after this returns.
        stack = module._resolve_stack(module._p(params, "StackName"))
        if answer[0] == 200 and stack:
            _keep_role(stack, role)
        return answer

    return start


def _keep_role(stack: dict[str, Any], role: str) -> None:
    if role:
        stack["RoleARN"] = role
    role = stack.get("RoleARN", "")
    stack["_by"] = By(role, SESSION) if role else caller()


def _role_refusal(module: Any, role: str) -> Any:
    """The message is from LocalStack's recording cloudformation/api/test_update_stack."""
    return module._error("ValidationError", f"Role {role} is invalid or cannot be assumed")


def _named_change_set(module: Any, params: dict[str, Any]) -> dict[str, Any]:
    from ministack.services.cloudformation import changesets

    name, stack = module._p(params, "ChangeSetName"), module._p(params, "StackName")
    found = changesets._find_change_set(name, stack)
    found = found[-1] if isinstance(found, tuple) else found
    return found if isinstance(found, dict) else {}


# --- their resources --------------------------------------------------------------------------


def patch(module: Any) -> None:
    stock_make, stock_change = module._provision_resource, module._update_resource
    stock_delete = module._delete_resource
    judged: contextvars.ContextVar[bool] = contextvars.ContextVar("judged", default=False)

    def make(kind: str, name: str, properties: Any, stack: str) -> Any:
        if not judged.get() and (by := acting(stack)):
            _require_right(by, "create", _new_resource(module, kind, name, properties, stack))
        return stock_make(kind, name, properties, stack)

    def change(kind: str, physical: str, old: Any, new: Any, stack: str, *more: Any) -> Any:
        by = acting(stack)
        if by is None or old == new:
            return stock_change(kind, physical, old, new, stack, *more)
        replaced = module._replacing_change(kind, old, new)
        if not replaced:
            _require_right(by, "update", _resource(kind, physical, new, old))
        # The stock function may replace the resource instead of changing it.
        here = judged.set(not replaced)
        try:
            return stock_change(kind, physical, old, new, stack, *more)
        finally:
            judged.reset(here)

    def delete(
        kind: str, physical: str, properties: Any, stack: str | None = None, *more: Any
    ) -> Any:
        if by := acting(stack):
            _require_right(by, "delete", _resource(kind, physical, properties))
        return stock_delete(kind, physical, properties, stack, *more)

    module._provision_resource, module._update_resource = make, change
    module._delete_resource = delete


def _resource(kind: str, physical: str, properties: Any, before: Any = None) -> Resource:
    from ministack.core.responses import get_account_id, get_region

    return Resource(kind, physical, properties or {}, before, get_region(), get_account_id())


def _new_resource(module: Any, kind: str, logical: str, properties: Any, stack: str) -> Resource:
    """A resource with the name that it is about to get."""
    named = NAMES.get(kind, Named("", 255, ""))
    name = (properties or {}).get(named.property) or module._physical_name(
        stack, logical, lowercase=named.is_lower_case, max_len=named.longest
    )
    return _resource(kind, name, properties)


def _require_right(by: By, operation: str, resource: Resource) -> None:
    """Raises ValueError, with the reason for the stack's event, if the role may not do it."""
    for check in checks(operation, resource):
        if check.resource == ANY:
            denied = iam.denied_everywhere(*by, check.action)
        else:
            denied = iam.denial(*by, [check])
        if denied:
            raise ValueError(reason(resource.kind, denied))


def reason(kind: str, denied: iam.Denial) -> str:
    """The reason in the event of a resource whose handler was refused."""
    own = kind.split("::")[1]
    sdk = SDK.get(own, own.capitalize() if own.isupper() else own)
    status = 400 if own in ("DynamoDB", "Logs") else 403
    return (
        f'Resource handler returned message: "{denied.message} (Service: {sdk}, Status Code: '
        f'{status}, Request ID: {uuid.uuid4()})" (RequestToken: {uuid.uuid4()}, '
        "HandlerErrorCode: AccessDenied)"
    )


# --- what else is done with the role's rights -------------------------------------------------


def patch_deployments(module: Any) -> None:
    """stacks: remember the stack for which a dynamic reference is resolved."""
    stock = module._deploy_stack_async

    async def deploy(stack: str, *args: Any, **more: Any) -> None:
        here = at_work.set(stack)
        try:
            await stock(stack, *args, **more)
        finally:
            at_work.reset(here)

    module._deploy_stack_async = deploy


def patch_references(module: Any) -> None:
    """engine: resolve dynamic references with the permissions of the stack's role."""
    stock = module._resolve_dynamic_reference

    def resolve(literal: str) -> str:
        if by := acting(at_work.get()):
            service, body = module._DYNAMIC_REFERENCE.fullmatch(literal).groups()[:2]
            if denied := iam.denial(*by, [_read_check(service, body)]):
                raise ValueError(denied.message)
        value: str = stock(literal)
        return value

    module._resolve_dynamic_reference = resolve


def _read_check(service: str, body: str) -> iam.Check:
    """The check for reading the target of a dynamic reference.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
    """
    from ministack.services import secretsmanager

    where = _resource("", "", {})
    if service in ("ssm", "ssm-secure"):
        name = body.partition(":")[0].lstrip("/")
        return iam.Check("ssm:GetParameters", where.arn("ssm", f"parameter/{name}"))
    name = ":".join(body.split(":")[:7]) if body.startswith("arn:") else body.partition(":")[0]
    _, secret = secretsmanager._resolve(name)
    arn = secret["ARN"] if secret else where.arn("secretsmanager", f"secret:{name}")
    return iam.Check("secretsmanager:GetSecretValue", arn)


def patch_drift(module: Any) -> None:
    """drift: a resource that the caller may not read is UNKNOWN, with the missing permission."""
    stock = module.detect_resource_drift

    def detect(stack: Any, logical: str, record: dict[str, Any], at: str) -> Any:
        kind, physical = record.get("ResourceType", ""), record.get("PhysicalResourceId", "")
        resource = _resource(kind, physical, record.get("Properties"))
        by = caller()
        asked = [check for check in checks("read", resource) if check.resource != ANY]
        denied = iam.denial(*by, asked) if by else None
        if denied is None:
            return stock(stack, logical, record, at)
        return {
            "StackId": stack.get("StackId", ""),
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "Timestamp": at,
            "StackResourceDriftStatus": "UNKNOWN",
            "DriftStatusReason": denied.message,
        }

    module.detect_resource_drift = detect


TARGETS = {
    "ministack.services.cloudformation.drift": patch_drift,
    "ministack.services.cloudformation.engine": patch_references,
    "ministack.services.cloudformation.handlers": patch_handlers,
    "ministack.services.cloudformation.provisioners": patch,
    "ministack.services.cloudformation.stacks": patch_deployments,
}
