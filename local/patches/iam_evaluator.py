"""The evaluator of IAM policies decides as AWS does, reports which policy decided, and is fast.

Defects of the stock evaluator:
- its answer does not distinguish an identity-based policy from a permissions boundary, so every
  refusal blames the former;
- it knows no policy variables, and matches an ArnLike or ArnEquals pattern as one string;
- aws:PrincipalArn of a role's session is the session's ARN instead of the role's;
- it looks up a resource's tags only if an identity-based policy asks for them;
- it treats a condition with an unknown operator, or one that is no object, as met or as not met: a
  Deny with such a condition would be lost. Here such a policy is refused;
- it treats every access key of twelve digits, the well-known `test` and a missing key as the root
  user, so that any unsigned request to S3 succeeds;
- it parses all policies from JSON for every request.

Statements are matched by slipway.domain.iam, which the check of template versions uses too.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
"""

import contextvars
import functools
import json
import os
from typing import Any

from local.iam import Check, Denial
from slipway.domain import iam as policies_of_aws

# Services that accept unsigned requests: their resources have an authorizer or a policy.
OPEN = ("execute-api:Invoke", "lambda:InvokeFunctionUrl")
LEADING_KEYS = "dynamodb:leadingkeys"
KINDS = ("an identity-based policy", "a permissions boundary", "a session policy")
# Why the current request was refused. The emulator itself passes on only that it was.
denied: contextvars.ContextVar[Denial | None] = contextvars.ContextVar("denied", default=None)


class Statements(list[Any]):
    """A parsed policy document. It is compared by identity, so that it can be part of a key."""

    arn = ""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def reason(effect: str, kind: int, arn: str = "") -> str:
    """The clause that ends AWS's message. For an explicit deny it has the boundary's ARN."""
    if effect == "Deny":
        return f"with an explicit deny in {KINDS[kind]}" + (f": {arn}" if arn else "")
    return f"because no {KINDS[kind].split(' ', 1)[1]} allows"


def patch(module: Any) -> None:
    _parse_once(module)
    _match_as_aws(module)
    _find_tags_for_boundaries(module)
    _resolve_role_arn(module)
    _report_deciding_policy(module)
    _refuse_invalid_conditions(module)
    _accept_one_root_key(module)
    _keep_denial_reason(module)


def _parse_once(module: Any) -> None:
    stock_parse, stock_boundary = module.parse_policy_document, module._permissions_boundary

    @functools.lru_cache(maxsize=1024)
    def parsed(text: str) -> Statements:
        return Statements(stock_parse(text))

    def parse(document: Any) -> Statements:
        return parsed(document if isinstance(document, str) else json.dumps(document))

    def boundary(store: Any, name: str, account: str) -> Any:
        limits = stock_boundary(store, name, account)
        arn = (store.get_scoped(account, None, name) or {}).get("PermissionsBoundary")
        return [Limit(layer, str(arn)) for layer in limits]

    module.parse_policy_document = parse
    module._permissions_boundary = boundary


class Limit(list[Any]):
    """The documents of a permissions boundary, with its ARN."""

    def __init__(self, documents: Any, arn: str) -> None:
        super().__init__(documents)
        self.arn = arn


def _match_as_aws(module: Any) -> None:
    def first_match(context: Any, statements: Any, effect: str) -> Any:
        return policies_of_aws.first(
            statements,
            effect,
            context.action,
            context.resource_arn,
            lambda key: _condition_value(module._resolve_condition_key(key, context)),
        )

    module._first_match = first_match


def _find_tags_for_boundaries(module: Any) -> None:
    """Look up a resource's tags also if only a permissions boundary asks for them."""
    stock_principal, stock_names = module.resolve_principal, module._names_condition_key
    limits: contextvars.ContextVar[Any] = contextvars.ContextVar("limits", default=())

    def resolve(*arguments: Any) -> Any:
        principal = stock_principal(*arguments)
        limits.set(getattr(principal, "limits", ()))
        return principal

    def names(policies: Any, prefix: str) -> bool:
        return any(stock_names(layer, prefix) for layer in (policies, *limits.get()))

    module.resolve_principal, module._names_condition_key = resolve, names


def _condition_value(value: Any) -> Any:
    """A condition key's value as text, or as a list of texts; None if there is no such key."""
    if value is None or isinstance(value, str):
        return value
    return [str(each) for each in value] if isinstance(value, list) else str(value)


def _resolve_role_arn(module: Any) -> None:
    stock = module._resolve_condition_key

    def resolve(key: str, context: Any) -> Any:
        if key.lower() != "aws:principalarn" or context.principal_type != "AssumedRole":
            return stock(key, context)
        from ministack.services import iam

        account, name = context.principal_account, context.principal_arn.split("/")[-2]
        role = iam._roles.get_scoped(account, None, name) or {}
        return role.get("Arn", f"arn:aws:iam::{account}:role/{name}")

    module._resolve_condition_key = resolve


def _report_deciding_policy(module: Any) -> None:
    """Set `reason` of a refusal to the clause that ends AWS's message."""

    @functools.lru_cache(maxsize=4096)
    def decided(layers: tuple[tuple[Any, ...], ...], asked: "Asked") -> tuple[str, int, str]:
        first = module._first_match
        documents = [[it for document in layer for it in document] for layer in layers]
        for kind, layer in enumerate(documents):
            if found := first(asked.context, layer, "Deny"):
                return "Deny", kind, found.sid
        for kind, layer in enumerate(documents):
            if not first(asked.context, layer, "Allow"):
                return "ImplicitDeny", kind, ""
        return "Allow", 0, ""

    def evaluate(context: Any, policies: Any, *limits: Any) -> Any:
        layers = tuple(tuple(layer) for layer in (policies, *limits))
        answer = decided if _is_cacheable(layers) else decided.__wrapped__
        asked = Asked(context, _leading_patterns(layers), module.fnmatch_iam_cs)
        decision, layer, sid = answer(layers, asked)
        if decision == "Allow":
            return module.EvalResult(decision, context.principal_arn, sid, "Explicit allow")
        limit = limits[layer - 1] if layer else None
        kind = 0 if limit is None else 1 if isinstance(limit, Limit) else 2
        why = reason(decision, kind, getattr(limit, "arn", ""))
        return module.EvalResult(decision, context.principal_arn, sid, why)

    module.evaluate = evaluate


class Asked:
    """A question to the evaluator. Questions are equal if policies cannot distinguish them.

    Policies see only which of their `patterns` the leading keys in it match; None if they
    see more.
    """

    def __init__(self, context: Any, patterns: tuple[str, ...] | None, match: Any) -> None:
        self.context = context
        keys = context.service_context.get(LEADING_KEYS)
        seen = vars(context)
        if keys and patterns is not None:
            matched = {tuple(match(each, pattern) for pattern in patterns) for each in keys}
            services = {**context.service_context, LEADING_KEYS: sorted(matched)}
            seen = {**seen, "service_context": services}
        self.key = repr(sorted(seen.items()))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asked) and self.key == other.key


@functools.lru_cache(maxsize=4096)
def _leading_patterns(layers: tuple[tuple[Any, ...], ...]) -> tuple[str, ...] | None:
    """The patterns that the policies compare leading keys with; None if they do more than that."""
    found: set[str] = set()
    for layer in layers:
        for statement in (each for document in layer for each in document):
            for operator, keys in statement.conditions.items():
                names = [name for name in keys if name.lower() == LEADING_KEYS]
                plain = operator.lower().rpartition(":")[2].removesuffix("ifexists")
                if names and plain not in ("stringlike", "stringnotlike", "null"):
                    return None
                if plain != "null":
                    values = [keys[name] for name in names]
                    found.update(*([each] if isinstance(each, str) else each for each in values))
    return None if "${" in "".join(found) else tuple(sorted(found))


def _is_cacheable(layers: tuple[tuple[Any, ...], ...]) -> bool:
    """Whether the answer can be cached: no condition depends on the time."""
    return not any(_depends_on_time(document) for layer in layers for document in layer)


@functools.lru_cache(maxsize=4096)
def _depends_on_time(document: Statements) -> bool:
    keys = repr([statement.conditions for statement in document]).lower()
    return "aws:currenttime" in keys or "aws:epochtime" in keys or "principalorgid" in keys


def _refuse_invalid_conditions(module: Any) -> None:
    """Refuse to store a policy with an invalid condition, as AWS does."""
    stock = module.validate_policy_document

    def validate(document: Any) -> str | None:
        if problem := stock(document):
            return str(problem)
        found = json.loads(document) if isinstance(document, str) else document
        statements = found["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            conditions = statement.get("Condition", {})
            if not isinstance(conditions, dict):
                return "Syntax errors in policy."
            for operator, keys in conditions.items():
                if not isinstance(keys, dict) or not policies_of_aws.is_operator(operator):
                    return f"Invalid Condition type : {operator}."
        return None

    module.validate_policy_document = validate


def _accept_one_root_key(module: Any) -> None:
    def is_owner(access_key: str) -> bool:
        return access_key == os.environ["AWS_ACCESS_KEY_ID"]

    module.is_root_access_key = is_owner


def _keep_denial_reason(module: Any) -> None:
    """Check what else the request needs, and keep the reason of a refusal for its message."""
    stock = module.enforce

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        context = {**(service_context or {}), **getattr(resource_arn, "context", {})}
        checks = [Check(iam_action, str(resource_arn), context)]
        checks += getattr(resource_arn, "also", ())
        if not access_key_id and iam_action in OPEN:
            return None
        if not access_key_id and service == "s3" and module._anonymous.get():
            return _check_anonymous(module, checks[0])
        for check in checks:
            asked = check.action.partition(":")[0] if check is not checks[0] else service
            result = stock(
                access_key_id, check.action, asked, region, check.resource, dict(check.context)
            )
            if isinstance(result, module.AuthError):
                return result
            if result is not None:
                denied.set(Denial(result.principal_arn, check, result.reason))
                return result
        return None

    module.enforce = enforce


def _check_anonymous(module: Any, check: Check) -> Any:
    """Allow an unsigned request to a bucket only if its policy allows it to everyone."""
    policy, _ = module._resource_policy("s3", check.resource) or ("", "")
    asked = module.EvalContext("", "Anonymous", "", check.action, check.resource, "")
    if module.evaluate_resource_policy(policy, asked).decision == "Allow":
        return None
    return module.AuthError("MissingAuthenticationToken", "")


TARGETS = {"ministack.core.iam_evaluator": patch}
