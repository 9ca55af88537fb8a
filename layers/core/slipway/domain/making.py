"""The rights of the role with which CloudFormation makes one environment.

Every environment has a making role of its own. All of them have one policy, the actions that the
list of resource types takes, and one permissions boundary, which says under what conditions. So
neither names an environment: the tag `slipway-scope` of the role that makes the request stands for
it (a policy variable), in the names of resources and in conditions. A role without the tag matches
no such statement and can do next to nothing.

`make policies` writes policies/environment_making.yaml and environment_limits.yaml from this
module, and the check of template versions evaluates `documents`.

Names: a resource without a name of its own is called `<stack>-<logical id>-<random>`, and
CloudFormation shortens a long stack part to 25 characters. `<slipway's stack>-env-<scope>` fits
into them, so the scope is part of every name (slipway.domain.scope).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from slipway.domain import resource_types
from slipway.domain.scope import TAG

# The value of the caller's own tag. Fn::Sub turns `${!…}` into the policy variable `${…}`.
SCOPE = f"${{!aws:PrincipalTag/{TAG}}}"
OWN_NAMES = f"${{AWS::StackName}}-env-{SCOPE}*"
_HERE = "${AWS::Region}:${AWS::AccountId}"


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def _arn(service: str, rest: str, where: str = _HERE) -> dict[str, str]:
    return _sub(f"arn:${{AWS::Partition}}:{service}:{where}:{rest}")


def _any(service: str, rest: str, where: str = "*:*") -> dict[str, str]:
    """All resources: a denial needs no longer names."""
    return _arn(service, rest, where)


OWN_FUNCTIONS = _arn("lambda", f"function:{OWN_NAMES}")
OWN_ALARMS = _arn("cloudwatch", f"alarm:{OWN_NAMES}")
OWN_BUCKETS = _arn("s3", OWN_NAMES, ":")
OWN_TOPICS = _arn("sns", OWN_NAMES)
OWN_RULES = _arn("events", f"rule/{OWN_NAMES}")
OWN_ROLES = _arn("iam", f"role/{OWN_NAMES}", ":${AWS::AccountId}")
OWN = [
    OWN_ALARMS,
    _arn("dynamodb", f"table/{OWN_NAMES}"),
    OWN_RULES,
    OWN_FUNCTIONS,
    _arn("logs", f"log-group:{OWN_NAMES}"),
    _arn("logs", f"log-group:/aws/lambda/{OWN_NAMES}"),
    OWN_BUCKETS,
    OWN_TOPICS,
    _arn("sqs", OWN_NAMES),
]
MAPPINGS = _arn("lambda", "event-source-mapping:*")
# Only the operator writes there: slipway.domain.dynamic_references.
SHARED = [
    _arn("ssm", "parameter/${AWS::StackName}/shared/*"),
    _arn("secretsmanager", "secret:${AWS::StackName}/shared/*"),
]
# AWS's own: slipway.domain.public_values. Their ARNs have no account.
PUBLIC = _arn("ssm", "parameter/aws/service/*", "*:")
# Names contain no colon, so this is the end of an ARN of the environment's own, for any service.
OWN_ARNS = _sub(f"arn:*:{OWN_NAMES}")
APIS = [_arn("apigateway", f"/{rest}", "${AWS::Region}:") for rest in ("apis", "apis/*", "tags/*")]
SLIPWAYS_API = _arn("apigateway", "/apis/${Api}*", "${AWS::Region}:")

_OF_ROLES = {each for each in resource_types.given() if each.startswith("iam:")}
# These write what a role may do, so the role must have the boundary of environments.
_WITH_BOUNDARY = {
    f"iam:{name}"
    for name in (
        "AttachRolePolicy",
        "CreateRole",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
    )
}
_CREATE_MAPPING = "lambda:CreateEventSourceMapping"
_OF_MAPPINGS = {f"lambda:{verb}EventSourceMapping" for verb in ("Delete", "Get", "Update")}
_ELSEWHERE = {"s3:GetObject", "s3:GetObjectVersion", *_OF_MAPPINGS}
# AWS requires the last three when a stack's tags are passed on; its reference does not list them.
_OF_APIS = [
    *(f"apigateway:{verb}" for verb in ("DELETE", "GET", "PATCH", "POST", "PUT")),
    *(f"apigateway:{name}" for name in ("GetTags", "TagResource", "UntagResource")),
]


# A tag that is set must be the caller's own. Requests that set none are not concerned.
_TAGGED_SO = {f"aws:RequestTag/{TAG}": _sub(SCOPE)}


def _of_own() -> list[str]:
    return sorted(
        each
        for each in resource_types.given() - _ELSEWHERE - resource_types.WITHOUT_RESOURCE
        if not each.startswith(("iam:", "apigateway:"))
    )


_TRANSFORMS = [
    _arn("cloudformation", f"transform/{name}", "${AWS::Region}:aws")
    for name in ("LanguageExtensions", "Serverless-2016-10-31")
]


def limits() -> list[dict[str, Any]]:
    """The permissions boundary, with CloudFormation's functions: patterns of actions, as the policy
    has each. IAM limits its length."""
    of_own = [f"{service}:*" for service in sorted({each.split(":")[0] for each in _of_own()})]
    roles = ["iam:*agRole", "iam:DeleteRole", "iam:Get*", "iam:List*", "iam:Update*"]
    writes = ["iam:*RolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary"]
    found = _statements(of_own, ["apigateway:*"], roles, writes, _all_mappings())
    # The policy names AWS's transforms; here all of them are shorter.
    every = _arn("cloudformation", "transform/*", "${AWS::Region}:aws")
    return [
        {**each, "Resource": every} if each.get("Resource") == _TRANSFORMS else each
        for each in found
    ]


def rights() -> list[dict[str, Any]]:
    """The policy, with CloudFormation's functions: each action, without the boundary's conditions.

    `make policies` shortens the actions with a common beginning.
    """
    found = []
    roles = sorted(_OF_ROLES - _WITH_BOUNDARY - {"iam:PassRole"})
    for each in _statements(_of_own(), _OF_APIS, roles, sorted(_WITH_BOUNDARY), _mappings()):
        if "Fn::If" in each:
            found.append(
                {"Fn::If": [each["Fn::If"][0], _free(each["Fn::If"][1]), *each["Fn::If"][2:]]}
            )
        elif each["Effect"] == "Allow":
            found.append(_free(each))
    return found


def _free(statement: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != "Condition"}


def _statements(
    of_own: list[str],
    of_apis: list[str],
    of_roles: list[str],
    with_boundary: list[str],
    mappings: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    lists = resource_types.WITHOUT_RESOURCE & resource_types.given() - {_CREATE_MAPPING}
    return [
        _allow(of_own, list(OWN)),
        _allow(sorted(lists), "*"),
        _allow("cloudformation:CreateChangeSet", _TRANSFORMS),
        *mappings,
        *_functions(),
        *_apis(of_apis),
        *_roles(of_roles, with_boundary),
        *_targets(),
        _allow(["secretsmanager:GetSecretValue", "ssm:GetParameters"], [*SHARED, PUBLIC]),
        # Another account could have a bucket of such a name. A new one has no account yet.
        _deny(
            "s3:*",
            _any("s3", "*", ":"),
            StringNotEquals={"aws:ResourceAccount": {"Ref": "AWS::AccountId"}},
            Null={"aws:ResourceAccount": "false"},
        ),
        {"Fn::If": ["HasArtifactBuckets", _artifacts(), {"Ref": "AWS::NoValue"}]},
        _deny("s3:GetObject*", _sub("${TemplatesBucket.Arn}/*")),
    ]


def _allow(action: Any, resource: Any, **condition: Any) -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def _deny(action: Any, resource: Any, **condition: Any) -> dict[str, Any]:
    return _allow(action, resource, **condition) | {"Effect": "Deny"}


# ARNs of event source mappings contain no names, but a condition can name their function.
_OF_FUNCTION = {"lambda:FunctionArn": OWN_FUNCTIONS}


def _mappings() -> list[dict[str, Any]]:
    return [_allow(_CREATE_MAPPING, "*"), _allow(sorted(_OF_MAPPINGS), MAPPINGS)]


def _all_mappings() -> list[dict[str, Any]]:
    # To create one is a request without a resource.
    return [_allow("lambda:*EventSourceMapping", [MAPPINGS, "*"], ArnLike=_OF_FUNCTION)]


def _functions() -> list[dict[str, Any]]:
    any_function = _any("lambda", "function:*")
    return [
        # The condition on the function is not available to requests about tags.
        _allow(["lambda:ListTags", "lambda:TagResource", "lambda:UntagResource"], MAPPINGS),
        # For services, anyone (a function URL), or accounts that the owner trusts.
        _deny("lambda:AddPermission", any_function, StringNotLike={"lambda:Principal": _let_in()}),
    ]


def _apis(actions: list[str]) -> list[dict[str, Any]]:
    """ARNs of HTTP APIs contain no names, but APIs have the stack's tags."""
    tags = {f"aws:ResourceTag/{TAG}": _sub(SCOPE), **_TAGGED_SO}
    return [
        _allow(actions, APIS, StringEqualsIfExists=tags),
        _deny("apigateway:*", SLIPWAYS_API),
        # Nothing loses the tag.
        _deny(
            ["apigateway:*", "iam:UntagRole"],
            [*APIS[1:], OWN_ROLES],
            **{"ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": TAG}},
            Null={f"aws:RequestTag/{TAG}": "true"},
        ),
    ]


def _roles(actions: list[str], with_boundary: list[str]) -> list[dict[str, Any]]:
    bound = {"iam:PermissionsBoundary": {"Ref": "EnvironmentBoundary"}}
    services = ["apigateway.amazonaws.com", "lambda.amazonaws.com"]
    return [
        _allow(with_boundary, OWN_ROLES, StringEquals=bound, StringEqualsIfExists=_TAGGED_SO),
        _allow(actions, OWN_ROLES, StringEqualsIfExists=_TAGGED_SO),
        _allow("iam:PassRole", OWN_ROLES, StringEquals={"iam:PassedToService": services}),
    ]


def _targets() -> list[dict[str, Any]]:
    """Topics, alarms and rules of the environment reach only its own resources; topics send no SMS.

    A rule has a schedule. Events of the account that a rule would match by their source or type are
    denied here, and any other pattern by the check of templates.
    """
    protocols = ["application", "firehose", "lambda", "sms", "sqs"]
    return [
        _deny(
            "sns:Subscribe",
            _any("sns", "*"),
            StringEqualsIgnoreCase={"sns:Protocol": protocols},
            StringNotLike={"sns:Endpoint": OWN_ARNS},
        ),
        _deny(
            "cloudwatch:PutMetricAlarm",
            _any("cloudwatch", "alarm:*"),
            **{"ForAnyValue:StringNotLike": {"cloudwatch:AlarmActions": OWN_ARNS}},
        ),
        _deny(
            "events:PutTargets",
            _any("events", "rule/*"),
            **{"ForAnyValue:StringNotLike": {"events:TargetArn": OWN_ARNS}},
        ),
        *(
            _deny("events:PutRule", _any("events", "rule/*"), Null={key: "false"})
            for key in _OF_EVENTS
        ),
    ]


_OF_EVENTS = ("events:source", "events:detail-type")


def _let_in() -> dict[str, Any]:
    # A literal star stands for anyone. Lists can only be joined as text.
    words = ["*.amazonaws.com", _sub("${!*}"), {"Fn::Join": [",", {"Ref": "TrustedAccounts"}]}]
    return {"Fn::Split": [",", {"Fn::Join": [",", words]}]}


# CloudFormation cannot make a list of ARNs of a list of names of any length. The parameter, joined
# with itself, has as many names as are selected; those that come twice do no harm.
ARTIFACT_BUCKETS = 5


def _artifacts() -> dict[str, Any]:
    names = {"Fn::Join": [",", {"Ref": "ArtifactBuckets"}]}
    enough = {"Fn::Split": [",", {"Fn::Join": [",", [names] * ARTIFACT_BUCKETS]}]}
    objects = [
        {"Fn::Sub": ["arn:${AWS::Partition}:s3:::${Name}/*", {"Name": {"Fn::Select": [n, enough]}}]}
        for n in range(ARTIFACT_BUCKETS)
    ]
    here = {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}
    return _allow(["s3:GetObject", "s3:GetObjectVersion"], objects, StringEquals=here)


def documents(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy and the permissions boundary in IAM's format.

    `values` has those that the statements refer to: AWS::Partition, AWS::Region, AWS::AccountId,
    AWS::StackName, Api, EnvironmentBoundary, `TemplatesBucket.Arn`, and the lists ArtifactBuckets
    and TrustedAccounts. Both must allow a request:

        rights, limits = documents(values)
        decide([[parse(rights)], [parse(limits)]], request)
    """
    found = [resolved(each, values) for each in (rights(), limits())]
    policy, boundary = (
        {"Version": "2012-10-17", "Statement": [each for each in statements if each is not None]}
        for statements in found
    )
    return policy, boundary


# A stack and the scope of an environment, to ask what a making role may do. Any others would do.
_STACK: Mapping[str, Any] = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "111111111111",
    "AWS::StackName": "slipway",
    "Api": "slipways-api",
    "EnvironmentBoundary": "boundary",
    "TemplatesBucket.Arn": "templates",
    "ArtifactBuckets": ["artifacts"],
    "TrustedAccounts": [],
}
_SCOPE = "abcdefgh"


def may(action: str, passed_to: str = "lambda.amazonaws.com") -> bool:
    """Whether a making role may do this to anything of its own environment.

    `passed_to` is the service that `iam:PassRole` hands the role to. Decides by the policies that
    the stack has, with slipway.domain.iam, as the laptop's AWS does. Remembered.
    """
    return _may(action.lower(), passed_to)


@cache
def _may(action: str, passed_to: str) -> bool:
    from slipway.domain.iam import Request, decide

    resources, context = _own_things()
    asked = {**context, "iam:PassedToService": passed_to}
    return any(decide(_layers(), Request(action, each, asked)).allowed for each in resources)


@cache
def _layers() -> list[list[Any]]:
    from slipway.domain.iam import parse

    return [[parse(each)] for each in documents(_STACK)]


@cache
def _own_things() -> tuple[list[str], dict[str, Any]]:
    """The ARNs that an environment may have, and the condition keys of requests about them."""
    where = [*OWN, OWN_ROLES, MAPPINGS, *APIS, _sub("arn:${AWS::Partition}:s3:::artifacts/*")]
    scope = SCOPE.replace("!", "")
    arns = [resolved(each, _STACK).replace(scope, _SCOPE).replace("*", "x") for each in where]
    by_service = {each.split(":")[2]: each for each in arns}
    context = {
        f"aws:PrincipalTag/{TAG}": _SCOPE,
        f"aws:RequestTag/{TAG}": _SCOPE,
        f"aws:ResourceTag/{TAG}": _SCOPE,
        "aws:ResourceAccount": _STACK["AWS::AccountId"],
        "iam:PermissionsBoundary": _STACK["EnvironmentBoundary"],
        "lambda:FunctionArn": arns[OWN.index(OWN_FUNCTIONS)],
        "lambda:Principal": "apigateway.amazonaws.com",
        "events:TargetArn": [arns[OWN.index(OWN_FUNCTIONS)]],
        "sns:Protocol": "sqs",
        "sns:Endpoint": by_service["sqs"],
    }
    return ["*", *arns], context


def resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """A value with CloudFormation's functions carried out. The one condition is whether there are
    ArtifactBuckets."""
    if isinstance(value, list):
        return [resolved(each, values) for each in value]
    if not isinstance(value, Mapping):
        return value
    [(name, given), *more] = value.items()
    if more or not (name == "Ref" or name.startswith("Fn::")):
        return {key: resolved(each, values) for key, each in value.items()}
    if name == "Ref":
        return None if given == "AWS::NoValue" else values[given]
    if name == "Fn::If":
        return resolved(given[1], values) if values["ArtifactBuckets"] else None
    if name == "Fn::Split":
        return str(resolved(given[1], values)).split(given[0])
    if name == "Fn::Select":
        return resolved(given[1], values)[given[0]]
    if name == "Fn::Join":
        return given[0].join(resolved(given[1], values))
    text, local = (given, {}) if isinstance(given, str) else (given[0], resolved(given[1], values))
    return _substituted(text, {**values, **local})


def _substituted(text: str, values: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        literal, name = match.groups()
        return f"${{{name}}}" if literal else str(values[name])

    return re.sub(r"\$\{(!?)([^}]+)\}", value, text)
