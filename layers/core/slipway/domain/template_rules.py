"""The rules for the values of a template's properties.

Each takes the template's Check, a value and its JSON pointer, and yields a fault for each thing
that reaches beyond the environment. Expressions are read as the texts that they can become, so a
condition, a mapping or a join hides nothing; what is not known is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.domain import capacity
from slipway.domain.allowances import MEMORY, Allowances
from slipway.domain.capacity import FromParameter, Numbers
from slipway.domain.deployment import brought
from slipway.domain.inputs import CONVENTIONS
from slipway.domain.references import below
from slipway.domain.template_properties import PROPERTIES
from slipway.domain.template_text import (
    UNKNOWN,
    Part,
    Reader,
    Text,
    intrinsic,
    is_no_value,
    literal,
)
from slipway.errors import FieldError

STACK = Part("pseudo", "AWS::StackName")
ACCOUNT = Part("pseudo", "AWS::AccountId")
BOUNDARY = "PermissionsBoundary"
# Slipway supplies them; a deployment or an environment's name is no input that is checked here.
_SUPPLIED = CONVENTIONS

NOT_OWN = (
    "must be a resource of this template: refer to it with !Ref or !GetAtt, or write its name or "
    "ARN with ${AWS::AccountId} and ${AWS::StackName}"
)
_NOT_NAMED = "must begin with ${AWS::StackName}, or be left out: CloudFormation then makes a name"
_NOT_A_LOG = "must be a log group of this template, or begin with ${AWS::StackName}"
_NOT_A_KEY = "must be a key of AWS itself, such as alias/aws/sqs"
NO_BOUNDARY = (
    "must be !Ref PermissionsBoundary, and Parameters must have PermissionsBoundary, which Slipway "
    "fills in"
)
_NOT_MANAGED = (
    "is not one of the policies of AWS that roles of environments may have. Write the statements "
    "that the role needs into Policies"
)
_BROUGHT_CODE = "{Bucket: !Ref ArtifactBucket, Key: !Ref ArtifactKey}"
_LOCAL_PATH = (
    "is a path on your computer. Upload the code and name it (sam package does both), or send it "
    f"with each deployment and write {_BROUGHT_CODE}"
)
_NO_FUNCTION = (
    "must be text or a mapping with Bucket and Key: SAM reads it before the parameters have "
    f"values. For the code that deployments bring, write {_BROUGHT_CODE}"
)

MANAGED = frozenset(
    {
        "AWSLambdaBasicExecutionRole",
        "AWSLambdaDynamoDBExecutionRole",
        "AWSLambdaKinesisExecutionRole",
        "AWSLambdaSQSQueueExecutionRole",
        "AWSXRayDaemonWriteAccess",
        "AWSXrayWriteOnlyAccess",
    }
)
# For these, `Ref` returns text that the template itself chooses.
_REF_IS_CHOSEN = frozenset({"AWS::ApiGatewayV2::Stage"})
_MADE_BY_SAM = re.compile(r"\.?(Role|Alias\w*|Version\w*|Url)(\.\w+)?")
_IN_ARN = re.compile(
    r"(function:|table/|alarm:|role/|log-group:(/aws/lambda/)?|stateMachine:|rule/|/?apis/)?"
)
# The functions of metric math that read nothing but the metrics of the alarm.
_MATH = (
    "ABS ANOMALY_DETECTION_BAND AVG CEIL DATAPOINT_COUNT DAY DIFF DIFF_TIME EPOCH FILL FIRST FLOOR "
    "HOUR IF LAST LOG LOG10 MAX METRIC_COUNT METRICS MIN MINUTE MONTH PERIOD RATE REMOVE_EMPTY "
    "RUNNING_SUM STDDEV SUM TIME_SERIES YEAR"
)
_CALLED = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)\s*\(")


@dataclass(frozen=True)
class Check:
    """The rules' knowledge of the template, and the capacity that they have counted.

    `types` has each resource's type; `times` is how often a number counts.
    """

    reader: Reader
    types: Mapping[str, str]
    sam: bool
    allowances: Allowances
    secrets: frozenset[str]
    defaults: Mapping[str, str]
    numbers: Numbers = field(default_factory=Numbers)
    times: int = 1


Rule = Callable[[Check, Any, str], Iterator[FieldError]]


# --- what belongs to the environment -----------------------------------------------------------


def is_own(check: Check, text: Text) -> bool:
    """Whether the text names something of this environment, in every environment."""
    if not text:
        return False
    first, rest = text[0], text[1:]
    if first.kind == "resource":
        ends = not rest or (rest[0].kind == "text" and rest[0].value[0] in ":/")
        return ends and _is_safe(check, first)
    if first == STACK:
        return True
    return first.kind == "text" and first.value.startswith("arn:") and _is_own_arn(check, text)


def _is_safe(check: Check, part: Part) -> bool:
    """Whether the attribute is decided by AWS, or is a name that the rules check."""
    kind = check.types.get(part.value)
    if kind is None:
        return check.sam and _is_made_by_sam(check, part.value)
    if kind in PROPERTIES:
        return not (kind in _REF_IS_CHOSEN and not part.attribute)
    if kind.startswith(("Custom::", "AWS::CloudFormation::")):
        return False
    return part.attribute == "" or part.attribute.endswith("Arn")


def _is_made_by_sam(check: Check, name: str) -> bool:
    if name == "ServerlessHttpApi":
        return True
    for end in range(len(name) - 1, 0, -1):
        if check.types.get(name[:end], "").startswith("AWS::Serverless::"):
            return _MADE_BY_SAM.fullmatch(name[end:]) is not None
    return False


def arn_fields(text: Text) -> list[Text] | None:
    """The six fields of an ARN; None if the text is none."""
    fields: list[list[Part]] = [[]]
    for part in text:
        if part.kind != "text":
            fields[-1].append(part)
            continue
        rest = part.value
        while len(fields) < 6 and ":" in rest:
            piece, _, rest = rest.partition(":")
            fields[-1] += [Part("text", piece)] if piece else []
            fields.append([])
        fields[-1] += [Part("text", rest)] if rest else []
    found = [tuple(each) for each in fields]
    return found if len(found) == 6 and literal(found[0]) == "arn" else None


def _is_own_arn(check: Check, text: Text) -> bool:
    fields = arn_fields(text)
    if fields is None:
        return False
    _, _, service, _, account, resource = fields
    if account != (ACCOUNT,) and not (account == () and literal(service) in ("s3", "apigateway")):
        return False
    first = resource[0] if resource else Part("unknown")
    if first.kind == "text":
        kind = _IN_ARN.match(first.value)
        resource = resource[1:] if kind and kind.end() == len(first.value) else ()
    return bool(resource) and resource[0].kind in ("pseudo", "resource") and is_own(check, resource)


def may_be_absent(value: Any) -> bool:
    """Whether the value can become AWS::NoValue, which leaves the property out."""
    call = intrinsic(value)
    if call and call[0] == "Fn::If" and isinstance(call[1], list):
        return any(may_be_absent(each) for each in call[1][1:])
    return is_no_value(value)


def branches(value: Any) -> list[Any]:
    """The value, or all that its conditions can choose; no AWS::NoValue."""
    call = intrinsic(value)
    if call and call[0] == "Fn::If" and isinstance(call[1], list):
        return [one for each in call[1][1:] for one in branches(each)]
    return [] if is_no_value(value) else [value]


def each_text(check: Check, value: Any, at: str, fits: Callable[[Text], bool], detail: str) -> Any:
    texts = check.reader.texts(value)
    return [] if all(map(fits, texts)) else [FieldError(at, detail)]


def own(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    yield from each_text(check, value, at, lambda text: is_own(check, text), NOT_OWN)


def name(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    yield from each_text(check, value, at, lambda text: text[:1] == (STACK,), _NOT_NAMED)


def log_group(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        ours = text[1:] if text[:1] == (Part("text", "/aws/lambda/"),) else text
        return is_own(check, ours)

    yield from each_text(check, value, at, fits, _NOT_A_LOG)


def key(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        known = literal(text)
        return is_own(check, text) if known is None else known.startswith("alias/aws/")

    yield from each_text(check, value, at, fits, _NOT_A_KEY)


def account(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    detail = "must be ${AWS::AccountId}, or be left out"
    yield from each_text(check, value, at, lambda text: text == (ACCOUNT,), detail)


# --- one of a few values -----------------------------------------------------------------------


def _one_of(*allowed: str) -> Rule:
    words = " or ".join(allowed)

    def rule(check: Check, value: Any, at: str) -> Iterator[FieldError]:
        detail = f"must be {words}, or be left out"
        yield from each_text(check, value, at, lambda text: literal(text) in allowed, detail)

    return rule


def boundary(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    wanted = [(Part("parameter", BOUNDARY),)]
    # Without it, the role of environments may not make the role.
    if check.reader.texts(value) != wanted:
        yield FieldError(at, NO_BOUNDARY)


def managed(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    yield from each_text(check, value, at, _is_managed, _NOT_MANAGED)


def _is_managed(text: Text) -> bool:
    whole = "".join("aws" if p == Part("pseudo", "AWS::Partition") else p.value for p in text)
    known = all(part.kind == "text" or part.value == "AWS::Partition" for part in text)
    path = re.fullmatch(r"(?:arn:[a-z-]+:iam::aws:policy/(?:service-role/)?)?(\w+)", whole)
    return known and path is not None and path[1] in MANAGED


def expression(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        known = literal(text)
        if known is None or "{{" in known or re.match(r"\s*SELECT\b", known, re.IGNORECASE):
            return False
        return all(called.upper() in _MATH.split() for called in _CALLED.findall(known))

    detail = "must be plain metric math: queries and functions read the metrics of the account"
    yield from each_text(check, value, at, fits, detail)


def tags(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    for each in branches(value):
        if isinstance(each, list):
            for n, tag in enumerate(each):
                for one in branches(tag):
                    named = one.get("Key") if isinstance(one, dict) else None
                    yield from _tag(check, named, below(at, n, "Key"))
        elif isinstance(each, dict) and intrinsic(each) is None:
            for named in each:
                yield from _tag(check, named, below(at, named))
        else:
            yield FieldError(at, "must be written out, so that the keys of the tags are known")


def _tag(check: Check, named: Any, at: str) -> Iterator[FieldError]:
    def fits(text: Text) -> bool:
        known = literal(text)
        # IAM compares the keys of tags in conditions without regard to case.
        # A dynamic reference could become any of them.
        is_plain = known is not None and "{{" not in known
        return is_plain and not str(known).casefold().startswith(("slipway", "aws:"))

    detail = "must be plain text that does not begin with slipway or aws:"
    yield from each_text(check, named, at, fits, detail)


# --- code --------------------------------------------------------------------------------------


def bucket(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    for text in check.reader.texts(value):
        yield from _bucket(check, text, at)


def _bucket(check: Check, text: Text, at: str) -> Iterator[FieldError]:
    allowed, known = check.allowances.buckets, literal(text)
    if text in _OF_ARTIFACT:
        yield from _of_artifact(check, text[0].value, at)
        return
    if known in allowed:
        return
    if len(text) == 1 and text[0].kind == "parameter" and text[0].value not in _SUPPLIED:
        yield from _of_parameter(check, text[0].value, at)
    elif not is_own(check, text):
        yield FieldError(at, capacity.not_a_bucket(allowed))


_OF_ARTIFACT: tuple[Text, ...] = (
    (Part("piece", "Artifact", "/2"),),
    (Part("parameter", "ArtifactBucket"),),
)


def _of_artifact(check: Check, parameter: str, at: str) -> Iterator[FieldError]:
    """Each deployment's artifact is checked when it is accepted; the default is checked now."""
    check.numbers.buckets[parameter] = at
    default = check.defaults.get(parameter)
    named = brought(None, default)["ArtifactBucket"] if parameter == "Artifact" else default
    if default and named not in check.allowances.buckets:
        pointer = below("#/Parameters", parameter, "Default")
        yield FieldError(pointer, capacity.not_a_bucket(check.allowances.buckets))


def _named_bucket(text: str) -> str:
    return text.removeprefix("s3://").partition("/")[0]


def _of_parameter(check: Check, parameter: str, at: str) -> Iterator[FieldError]:
    """The value is checked when an environment is made; the default is checked now."""
    if parameter in check.secrets:
        yield FieldError(at, f"must not be a secret, as {parameter} is: it could not be checked")
        return
    check.numbers.buckets[parameter] = at
    default = check.defaults.get(parameter)
    if default is not None and _named_bucket(default) not in check.allowances.buckets:
        yield FieldError(at, capacity.not_a_bucket(check.allowances.buckets))


def code(check: Check, value: Any, at: str) -> Iterator[FieldError]:
    """SAM's CodeUri: a path, s3://bucket/key, or a mapping with Bucket and Key.

    SAM carries out no function there, whatever it stands for.
    """
    if isinstance(value, dict) and intrinsic(value) is None:
        for name in ("Bucket", "Key"):
            if value.get(name) in (None, ""):
                yield FieldError(below(at, name), "is required")
        if value.get("Bucket"):
            yield from bucket(check, value["Bucket"], below(at, "Bucket"))
    elif not isinstance(value, str):
        yield FieldError(at, _NO_FUNCTION)
    elif not value.startswith("s3://"):
        yield FieldError(at, _LOCAL_PATH)
    else:
        named, _, rest = value.removeprefix("s3://").partition("/")
        yield from _bucket(check, (Part("text", named),) if rest else UNKNOWN, at)


# --- capacity ----------------------------------------------------------------------------------


def _counted(kind: str) -> Rule:
    def rule(check: Check, value: Any, at: str) -> Iterator[FieldError]:
        most = 0
        for text in check.reader.texts(value):
            known = literal(text)
            found = None if known is None else capacity.number(known)
            one = text[0] if len(text) == 1 else Part("unknown")
            if found is not None:
                most = max(most, found)
            elif one.kind != "parameter" or one.value in check.secrets | _SUPPLIED:
                yield FieldError(at, "must be a whole number, or the !Ref of a parameter for one")
            elif len(check.numbers.from_parameters) >= capacity.MOST_FROM_PARAMETERS:
                yield FieldError(at, "must be a number: too many numbers come from parameters")
            else:
                counted = FromParameter(kind, one.value, at, check.times)
                check.numbers.from_parameters.append(counted)
        total = check.numbers.add(kind, most if kind == MEMORY else most * check.times)
        detail = capacity.too_much(kind, total, check.allowances.limits)
        if detail and most:
            yield FieldError(at, detail)

    return rule


RULES: Mapping[str, Rule] = {
    "account": account,
    "boundary": boundary,
    "bucket": bucket,
    "code": code,
    "expression": expression,
    "internet": _one_of("INTERNET"),
    "key": key,
    "log_group": log_group,
    "managed": managed,
    "memory": _counted("memory"),
    "name": name,
    "own": own,
    "private": _one_of("Private", "BucketOwnerRead", "BucketOwnerFullControl"),
    "provisioned": _counted("provisioned"),
    "reserved": _counted("reserved"),
    "root": _one_of("/"),
    "tags": tags,
    "terminates": _one_of("Terminate"),
    "throughput": _counted("throughput"),
}
