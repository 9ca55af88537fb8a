"""The checks for a request to the laptop's AWS: its action, its resource, and others.

It covers only requests that the emulator reads differently from AWS. Each entry follows the Service
Authorization Reference, whose tables cfn-lint contains (tests/local/test_iam_requests.py compares
them).
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from local import leading_keys
from local.iam import Check

# The request's member that names a role, and the service that will assume it.
PASSED = {
    "lambda:CreateFunction": ("Role", "lambda.amazonaws.com"),
    "lambda:UpdateFunctionConfiguration": ("Role", "lambda.amazonaws.com"),
    "states:CreateStateMachine": ("roleArn", "states.amazonaws.com"),
    "states:UpdateStateMachine": ("roleArn", "states.amazonaws.com"),
    "scheduler:CreateSchedule": ("Target.RoleArn", "scheduler.amazonaws.com"),
    "scheduler:UpdateSchedule": ("Target.RoleArn", "scheduler.amazonaws.com"),
    "cloudformation:CreateStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:UpdateStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:DeleteStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:CreateChangeSet": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:ContinueUpdateRollback": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:RollbackStack": ("RoleARN", "cloudformation.amazonaws.com"),
}
# Operations of Lambda whose actions have other names.
LAMBDA_ACTIONS = {"Invoke": "InvokeFunction", "GetLayerVersionByArn": "GetLayerVersion"}


@dataclass(frozen=True)
class Request:
    """A request as the emulator's router receives it."""

    action: str
    path: str
    body: bytes
    params: dict[str, Any]
    region: str
    account: str

    @cached_property
    def members(self) -> dict[str, Any]:
        """The members of a JSON body."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def value(self, name: str) -> str:
        """A member of the JSON body (dots lead inwards), or a parameter of the query protocol."""
        found: Any = self.members
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is None:
            found = self.params.get(name)
        if isinstance(found, list):
            found = found[0] if found else None
        return found if isinstance(found, str) else ""

    def values(self, name: str) -> list[str]:
        found = self.members.get(name)
        return [it for it in found if isinstance(it, str)] if isinstance(found, list) else []

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def checks(request: Request, resource: str) -> list[Check]:
    """All checks of a request, first its action. `resource` is what the emulator determined."""
    service = request.action.partition(":")[0]
    own = OWN.get(service, _as_it_is)(request, resource)
    return [*own, *_passed(request)]


def _as_it_is(request: Request, resource: str) -> list[Check]:
    return [Check(request.action, resource)]


def _passed(request: Request) -> Iterator[Check]:
    member, service = PASSED.get(request.action, ("", ""))
    if member and (role := request.value(member)):
        yield Check("iam:PassRole", role, {"iam:PassedToService": service})


def _parameters(request: Request, resource: str) -> list[Check]:
    """Systems Manager: one check for each parameter that the request names."""
    names = [request.value("Name"), request.value("Path"), *request.values("Names")]
    # A name may be an ARN, and end in a version or a label.
    names = [re.sub(r"^arn:[^/]*:parameter", "", name) for name in names if name]
    plain = [name.partition(":")[0].lstrip("/") for name in names]
    if not plain:
        return _as_it_is(request, resource)
    return [Check(request.action, request.arn("ssm", f"parameter/{name}")) for name in plain]


def _tables(request: Request, resource: str) -> list[Check]:
    """DynamoDB: the condition keys include the partition keys; a stream is named by its ARN, or by
    an iterator that came from it."""
    from ministack.services import dynamodb_streams

    batch = request.members.get("RequestItems")
    if isinstance(batch, dict) and batch:
        table = next(iter(batch))
        keys = leading_keys.context(leading_keys.of_batch(batch[table], table))
        return [Check(request.action, resource, keys)]
    if table := request.value("TableName"):
        keys = leading_keys.context(leading_keys.of_item(request.members, table))
        return [Check(request.action, _whole(request, resource), keys)]
    found = request.value("StreamArn")
    if iterator := request.value("ShardIterator"):
        found = (dynamodb_streams._decode_iterator(iterator) or {}).get("arn", "")
    return [Check(request.action, found or _whole(request, resource))]


def _whole(request: Request, resource: str) -> str:
    return "*" if request.action == "dynamodb:ListStreams" else resource


def _subscriptions(request: Request, resource: str) -> list[Check]:
    """SNS: the resource of a subscription is its topic, whose ARN begins the subscription's."""
    subscription = request.value("SubscriptionArn")
    return [Check(request.action, subscription.rpartition(":")[0] or resource)]


def _rules(request: Request, resource: str) -> list[Check]:
    """EventBridge: the ARN of a rule on the default bus does not name the bus."""
    plain = re.sub(r"(:rule/)(?:arn:[^ ]*event-bus/)?default/", r"\1", resource)
    return [Check(request.action, plain)]


def _functions(request: Request, resource: str) -> list[Check]:
    """Lambda: event source mappings are identified by their function."""
    if "event-source-mappings" not in request.path:
        return [Check(request.action, resource)]
    function = request.value("FunctionName")
    if not function:
        from ministack.services import lambda_svc

        mapping = lambda_svc._esms.get(request.path.rstrip("/").rpartition("/")[2]) or {}
        function = mapping.get("FunctionArn", "")
    arn = function if function.startswith("arn:") else request.arn("lambda", f"function:{function}")
    context = {"lambda:FunctionArn": arn} if function else {}
    where = "*" if request.action == "lambda:CreateEventSourceMapping" else resource
    return [Check(request.action, where, context)]


def _roles(request: Request, resource: str) -> list[Check]:
    """IAM: the condition keys include a role's boundary, the requested or the existing one."""
    return [Check(request.action, resource, role_context(request.action, request.value))]


def role_context(action: str, value: Callable[[str], str]) -> dict[str, str]:
    """The condition keys of a request about a role, whose members `value` reads."""
    from ministack.services import iam

    context = {}
    if policy := value("PolicyArn"):
        context["iam:PolicyARN"] = policy
    boundary = value("PermissionsBoundary")
    if action not in ("iam:CreateRole", "iam:PutRolePermissionsBoundary"):
        boundary = (iam._roles.get(value("RoleName")) or {}).get("PermissionsBoundary") or ""
    if boundary:
        context["iam:PermissionsBoundary"] = boundary
    return context


def _stacks(request: Request, resource: str) -> list[Check]:
    """CloudFormation: reads a template and applies its macros with the caller's permissions."""
    from ministack.services import cloudformation

    found = [Check(request.action, resource)]
    change_set = cloudformation._change_sets.get(request.value("ChangeSetName"))
    if resource == "*" and change_set:
        found = [Check(request.action, change_set["StackId"])]
    if url := request.value("TemplateURL"):
        found.append(Check("s3:GetObject", _object_arn(url)))
    if request.action in WITH_TEMPLATE:
        for name in _transforms(request):
            arn = f"arn:aws:cloudformation:{request.region}:aws:transform/{name}"
            found.append(Check("cloudformation:CreateChangeSet", arn))
    return found


WITH_TEMPLATE = {
    f"cloudformation:{name}" for name in ("CreateStack", "UpdateStack", "CreateChangeSet")
}


def _object_arn(url: str) -> str:
    """The object that a template's URL refers to, in either of S3's two styles."""
    parts = urllib.parse.urlsplit(url)
    key = urllib.parse.unquote(parts.path.lstrip("/"))
    host = parts.hostname or ""
    virtual = re.match(r"(.+?)\.s3[.-]", host)
    return f"arn:aws:s3:::{virtual[1]}/{key}" if virtual else f"arn:aws:s3:::{key}"


def _transforms(request: Request) -> list[str]:
    """The macros that the request's template declares; none if it cannot be read."""
    from ministack.services.cloudformation import engine, handlers

    body, problem = handlers._resolve_template(request.params)
    if problem or not body:
        return []
    try:
        declared = engine._parse_template(body).get("Transform") or []
    except Exception:  # the emulator's own answer reports the error
        return []
    declared = [declared] if isinstance(declared, str) else declared
    return [name.removeprefix("AWS::") for name in declared if isinstance(name, str)]


def _mail(request: Request, resource: str) -> list[Check]:
    """SES: the sender's identity, which is its address or its domain, and who the mail is from."""
    if request.action != "ses:SendEmail":
        return _as_it_is(request, resource)
    from ministack.services import ses

    sender = request.value("FromEmailAddress")
    name, _ = ses._notification_identity(sender) or (sender, {})
    context = {"ses:FromAddress": sender}
    return [Check(request.action, request.arn("ses", f"identity/{name}"), context)]


OWN: dict[str, Callable[[Request, str], list[Check]]] = {
    "cloudformation": _stacks,
    "dynamodb": _tables,
    "events": _rules,
    "iam": _roles,
    "lambda": _functions,
    "ses": _mail,
    "sns": _subscriptions,
    "ssm": _parameters,
}


def all_checks(
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    params: dict[str, Any],
) -> list[Check]:
    """The checks for a request that is made inside the emulator.

    There are none if the emulator does not know the request's action.
    """
    from ministack.core import iam_actions
    from ministack.core.responses import get_account_id, get_region

    where = (get_region(), get_account_id())
    asked = (service, method, path, headers, body, params)
    action = iam_actions.extract_iam_action(*asked)
    if action is None:
        return []
    if parts := iam_actions.dynamodb_transaction_checks(action, body, *where):
        return [Check(verb, str(table), table.context) for verb, table in parts]
    target = iam_actions.extract_resource_arn(*asked, *where)
    found = [Check(action, str(target), target.context), *target.also]
    if service == "dynamodb":
        tables = iam_actions.dynamodb_resource_arns(body, *where)
        found += [Check(action, str(table), table.context) for table in tables[1:]]
    return found
