"""Templates that are as expensive to check as their size allows: one function for each kind.

Each takes the size in bytes and a number that varies the shape, and returns a body and whether it
is JSON. A template need not be valid: its cost counts up to the refusal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Template = tuple[bytes, bool]
Kind = Callable[[int, int], Template]

QUEUE = {"Type": "AWS::SQS::Queue"}
KINDS: dict[str, Kind] = {}


def kind(function: Kind) -> Kind:
    KINDS[function.__name__] = function
    return function


def _json(size: int, whole: Callable[[int], Any]) -> Template:
    """Nearly the largest document of the kind that fits: `whole` makes one with so many parts."""
    n, text = 200, json.dumps(whole(200))
    for _ in range(3):
        n = max(1, int(n * 0.98 * size / len(text)))
        text = json.dumps(whole(n))
        if 0.8 * size < len(text) <= size:
            break
    while len(text) > size and n:
        n //= 2
        text = json.dumps(whole(n))
    # A text that is too large even without its parts is cut off.
    return text.encode()[:size], True


def _yaml(size: int, head: str, part: str, tail: str = "") -> Template:
    return (
        head + part * max(1, (size - len(head) - len(tail)) // len(part)) + tail
    ).encode(), False


def _parameters(**declared: Any) -> dict[str, Any]:
    return {"Parameters": declared, "Resources": {"Q": QUEUE}}


def _properties(value: Any) -> dict[str, Any]:
    return {"Resources": {"Q": {**QUEUE, "Properties": {"P": value}}}}


def _nested(value: Any, depth: int, key: str) -> Any:
    for _ in range(depth):
        value = {key: value}
    return value


# --- parameters -------------------------------------------------------------------------------


@kind
def numbers_and_allowed_values(size: int, shape: int) -> Template:
    digits = 2 + shape % 90
    return _json(
        size,
        lambda n: _parameters(
            X={
                "Type": "List<Number>",
                "Default": ",".join("1" * digits for _ in range(n)),
                "AllowedValues": [*(str(10**digits + i) for i in range(n)), "1" * digits],
            }
        ),
    )


@kind
def texts_and_allowed_values(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: _parameters(
            X={
                "Type": "CommaDelimitedList",
                "Default": ",".join("a" for _ in range(n)),
                "AllowedValues": [*(f"b{i}" for i in range(n)), "a"],
            }
        ),
    )


@kind
def large_exponents(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: _parameters(
            X={
                "Type": "List<Number>",
                "MinValue": "-9e999",
                "MaxValue": "9e999",
                "Default": ",".join(f"1e-{i % 1000}" for i in range(n)),
            }
        ),
    )


PATTERNS = [
    ("(a+)+$", "a" * 60 + "b"),
    ("(a|a)*$", "a" * 60 + "b"),
    ("(a?){40}a{40}", "a" * 40),
    ("(.*)*=(.*)*", "x" * 200),
    ("((a{1,99}){1,99}){1,99}", "a" * 99),
    ("(?i)[\0-\U0010ffff]*[\0-\U0010fffe]", "x" * 100),
    ("[a-z&&[^b]&&[^c]]*x", "a" * 100),
    ("(" * 40 + "a*" + ")*" * 40, "a" * 60 + "b"),
    ("|" * 300, "b"),
    ("(" + "|" * 150 + "a)*b", "a" * 100),
    (r"(\p{L}|\p{Lu}|\w|.)*\1", "é" * 100),
    ("a{0,255}" * 8 + "b", "a" * 200),
    ("(?=.*a)" * 40, "b" * 100),
    (
        "[" + "".join(chr(300 + 2 * i) for i in range(150)) + "]*x",
        "".join(map(chr, range(300, 500))),
    ),
]


@kind
def patterns(size: int, shape: int) -> Template:
    pattern, text = PATTERNS[shape % len(PATTERNS)]
    declared = {"Type": "String", "AllowedPattern": pattern, "Default": text}
    each = len(json.dumps(declared)) + 10
    n = max(1, min(200, size // each))
    return json.dumps(_parameters(**{f"P{i}": declared for i in range(n)})).encode(), True


@kind
def long_patterns(size: int, shape: int) -> Template:
    part, text = PATTERNS[shape % len(PATTERNS)]
    n = max(1, (size - 4000) // len(json.dumps(part)))
    declared = {"Type": "String", "AllowedPattern": part * n, "Default": text * 20}
    return json.dumps(_parameters(X=declared)).encode()[:size], True


@kind
def pattern_over_a_list(size: int, shape: int) -> Template:
    pattern, text = PATTERNS[shape % len(PATTERNS)]
    n = max(1, (size - len(pattern) - 200) // (len(text) + 1))
    declared = {"AllowedPattern": pattern, "Default": ",".join([text] * n)}
    return json.dumps(_parameters(X={"Type": "CommaDelimitedList", **declared})).encode(), True


@kind
def descriptions(size: int, shape: int) -> Template:
    letter = ["x", "é", "\u200d", "👩\u200d", "\ufe0f", "\u0646\u200c"][shape % 6]
    text = letter * ((size - 200) // len(letter.encode()))
    whole = _parameters(X={"Type": "String", "Description": text})
    return json.dumps(whole, ensure_ascii=False).encode(), True


@kind
def many_parameters(size: int, shape: int) -> Template:
    value = {"Type": "String"} if shape % 2 else "x"
    return _json(size, lambda n: _parameters(**{f"P{i}": value for i in range(n)}))


# --- references -------------------------------------------------------------------------------


@kind
def variables(size: int, shape: int) -> Template:
    """Fn::Sub with many variables; `shape` is the length of their names."""
    name = "${" + "a" * (1 + shape % 300) + "}"
    return _json(size, lambda n: _properties({"Fn::Sub": name * n}))


@kind
def unclosed_variables(size: int, shape: int) -> Template:
    part = ["${", "$", "${a", "${a${", "{{resolve:", "${!"][shape % 6]
    return _json(size, lambda n: _properties({"Fn::Sub": part * n}))


@kind
def many_substitutions(size: int, shape: int) -> Template:
    own = {f"v{i}": "x" for i in range(shape % 50)}
    return _json(size, lambda n: _properties([{"Fn::Sub": ["${a.b}${c}", own]}] * n))


@kind
def references_that_grow(size: int, shape: int) -> Template:
    """References to what SAM may make of a resource, with long names that share beginnings."""
    name = "Q" * (1 + shape % 250)
    return _json(
        size,
        lambda n: {
            "Transform": "AWS::Serverless-2016-10-31",
            "Resources": {"F": {"Type": "AWS::Serverless::Function", "P": [{"Ref": name}] * n}},
        },
    )


@kind
def a_long_circle(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: {
            "Resources": {f"R{i}": {**QUEUE, "DependsOn": f"R{(i + 1) % n}"} for i in range(n)}
        },
    )


@kind
def all_depend_on_all(size: int, shape: int) -> Template:
    def whole(n: int) -> Any:
        few = [f"R{i}" for i in range(max(1, int(n**0.5)))]
        return {"Resources": {name: {**QUEUE, "DependsOn": few} for name in few}}

    return _json(size, whole)


@kind
def many_circles(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: {
            "Resources": {
                f"R{i}": {**QUEUE, "DependsOn": [f"R{max(i - 1 - shape % 9, 0)}", f"R{i + 1}"]}
                for i in range(n)
            }
        },
    )


@kind
def references_in_a_deep_place(size: int, shape: int) -> Template:
    key = "k" * (1 + shape % 500)
    return _json(size, lambda n: _properties(_nested([{"Ref": "Q"}] * n, 40, key)))


@kind
def outputs(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: {
            "Parameters": {"S": {"Type": "String", "NoEcho": "true"}},
            "Resources": {"Q": QUEUE},
            "Outputs": {f"O{i}": {"Value": {"Ref": ["Q", "S", "X"][shape % 3]}} for i in range(n)},
        },
    )


@kind
def conditions(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: {
            "Conditions": {f"C{i}": {"Fn::Not": [{"Condition": f"C{i + 1}"}]} for i in range(n)},
            "Resources": {"Q": QUEUE},
        },
    )


@kind
def resources_of_many_types(size: int, shape: int) -> Template:
    return _json(
        size,
        lambda n: {
            "Resources": {f"R{i}": {"Type": f"AWS::{'X' * (shape % 60)}::{i}"} for i in range(n)}
        },
    )


@kind
def events(size: int, shape: int) -> Template:
    said = [{"Type": "Schedule"}, {"Type": "HttpApi"}, {"Type": "X"}, {"Type": "SNS"}][shape % 4]
    return _json(
        size,
        lambda n: {
            "Transform": "AWS::Serverless-2016-10-31",
            "Resources": {
                "F": {
                    "Type": "AWS::Serverless::Function",
                    "Properties": {"Events": {f"E{i}": said for i in range(n)}},
                }
            },
        },
    )


# --- syntax -----------------------------------------------------------------------------------


@kind
def nested_json(size: int, shape: int) -> Template:
    return (["[", '{"a":', "[[],"][shape % 3] * size).encode()[:size], True


@kind
def wide_and_deep_json(size: int, shape: int) -> Template:
    key = "k" * (1 + shape % 500)
    return _json(size, lambda n: _properties(_nested([0] * n, 44, key)))


@kind
def deep_branches(size: int, shape: int) -> Template:
    key = "k" * (1 + shape % 30)
    return _json(size, lambda n: _properties([_nested(0, 40, key)] * n))


@kind
def repeated_keys(size: int, shape: int) -> Template:
    return ('{"Resources":{' + '"a":0,' * (size // 6 - 5) + '"a":0}}').encode(), True


@kind
def json_numbers(size: int, shape: int) -> Template:
    part = ["1", "1.5", "1e9", "-0.1E-99", "9" * 5000][shape % 5] + ","
    return (b'{"a":[' + part.encode() * (size // len(part)))[: size - 3] + b"1]}", True


@kind
def json_escapes(size: int, shape: int) -> Template:
    part = ["\\u0041", "\\n", "\\ud83d\\ude00", "\\ud800", "é"][shape % 5].encode()
    return b'{"a":"' + part * ((size - 8) // len(part)) + b'"}', True


@kind
def scalars(size: int, shape: int) -> Template:
    part = ["- a\n", "- \n", "- 1\n", "- ''\n", "- é\n", '- "\\x41"\n'][shape % 6]
    return _yaml(size, "Resources:\n", part)


@kind
def flow(size: int, shape: int) -> Template:
    opener = ["[", "{a: ", "[a, ", "{", "- ", "? ", "!Ref [", "&a ", "*a ", "|", "'", "%"][
        shape % 12
    ]
    return _yaml(size, "Resources: ", opener)


@kind
def flow_lists(size: int, shape: int) -> Template:
    return _yaml(size, "Resources: [", ["a,", "{},", "[],", "!Ref a,", "{a: b},"][shape % 5], "]")


@kind
def indentation(size: int, shape: int) -> Template:
    lines = (f"{' ' * i}a:\n" for i in range(100_000))
    text = "".join(_until(size, lines))
    return text.encode(), False


def _until(size: int, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        size -= len(line)
        if size < 0:
            return
        yield line


@kind
def yaml_keys(size: int, shape: int) -> Template:
    lines = (f"K{i}: !Sub a\n" for i in range(200_000))
    return "".join(_until(size, lines)).encode(), False


@kind
def aliases(size: int, shape: int) -> Template:
    lines = (f"k{i}: &a{i} [{f'*a{i - 1},' * 9 if i else ''}]\n" for i in range(100_000))
    return "".join(_until(size, lines)).encode(), False


@kind
def documents(size: int, shape: int) -> Template:
    return _yaml(size, "", ["---\n", "...\n", "# c\n", "\n", "%YAML 1.1\n---\n"][shape % 5])


@kind
def blocks(size: int, shape: int) -> Template:
    head = ["a: |\n  ", "a: >\n  ", 'a: "', "a: '"][shape % 4]
    return _yaml(size, head, ["x", "\n ", "x\n  ", "\\\n "][shape // 4 % 4])


@kind
def macros(size: int, shape: int) -> Template:
    return _json(size, lambda n: _properties([{"Fn::Transform": {}}] * n))


@kind
def wrong_names(size: int, shape: int) -> Template:
    section = ["Parameters", "Resources", "Outputs", "Mappings", "Globals"][shape % 5]
    return _json(size, lambda n: {section: {f"a-{i}": {} for i in range(n)}})


@kind
def unknown_sections(size: int, shape: int) -> Template:
    return _json(size, lambda n: {f"S{i}": {} for i in range(n)})


# --- what a template names --------------------------------------------------------------------


def _queues(values: Any) -> dict[str, Any]:
    """A policy of queues, each of which is an expression that has to be carried out."""
    properties = {"Queues": values, "PolicyDocument": {"Statement": []}}
    policy = {"Type": "AWS::SQS::QueuePolicy", "Properties": properties}
    return {"Conditions": {"C": {"Fn::Equals": ["a", "b"]}}, "Resources": {"Q": QUEUE, "P": policy}}


@kind
def conditions_that_choose_names(size: int, shape: int) -> Template:
    def chosen(depth: int) -> Any:
        own = {"Ref": "Q"}
        return {"Fn::If": ["C", own, chosen(depth - 1)]} if depth else own

    return _json(
        size, lambda n: _queues([chosen(1 + 4 * (shape % 100))] * (n // (1 + 2 * shape) + 1))
    )


@kind
def substitutions_in_names(size: int, shape: int) -> Template:
    def substituted(depth: int) -> Any:
        if not depth:
            return {"Fn::GetAtt": ["Q", "Arn"]}
        return {"Fn::Sub": ["${a}", {"a": substituted(depth - 1)}]}

    return _json(size, lambda n: _queues([substituted(1 + 2 * (shape % 100))] * n))


@kind
def joined_names(size: int, shape: int) -> Template:
    pieces = ["arn", "aws", "sqs", {"Ref": "AWS::Region"}, {"Ref": "AWS::AccountId"}]
    name = [{"Ref": "AWS::StackName"}, *(["-x"] * 5 * shape)]
    value = {"Fn::Join": [":", [*pieces, {"Fn::Join": ["", name]}]]}
    return _json(size, lambda n: _queues([value] * n))


@kind
def principals_of_policies(size: int, shape: int) -> Template:
    def whole(n: int) -> Any:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": [{"Ref": "AWS::AccountId"}] * (1 + shape)},
            "Action": "sqs:*",
            "Resource": "*",
            "Condition": {"StringLike": {f"aws:SourceArn{m}": "x" for m in range(shape)}},
        }
        found = _queues([{"Ref": "Q"}])
        found["Resources"]["P"]["Properties"]["PolicyDocument"]["Statement"] = [statement] * n
        return found

    return _json(size, whole)


@kind
def tags_and_environments(size: int, shape: int) -> Template:
    def whole(n: int) -> Any:
        tags = [{"Key": {"Fn::Sub": f"k{m}"}, "Value": "v"} for m in range(n)]
        return {"Resources": {"Q": {**QUEUE, "Properties": {"Tags": tags}}}}

    return _json(size, whole)


@kind
def names_of_mappings(size: int, shape: int) -> Template:
    def whole(n: int) -> Any:
        found = _queues([{"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "k"]}] * n)
        found["Mappings"] = {"M": {f"r{m}": {"k": "x" * 20} for m in range(30 * (shape + 1))}}
        return found

    return _json(size, whole)


# --- loops and repeated keys ------------------------------------------------------------------


def _looped(loop: Any, **sections: Any) -> dict[str, Any]:
    return {
        "Transform": "AWS::LanguageExtensions",
        "Resources": {"Q": QUEUE, "Fn::ForEach::A": loop},
        **sections,
    }


@kind
def long_loops(size: int, shape: int) -> Template:
    """Many items, with a body of some size for each."""
    body = {"Type": "AWS::SQS::Queue", "Properties": {f"P{n}": {"Ref": "X"} for n in range(shape)}}
    return _json(size, lambda n: _looped(["X", [f"i{k}" for k in range(n)], {"Q${X}": body}]))


@kind
def wide_loops(size: int, shape: int) -> Template:
    """A few items, with a large body for each."""
    items = [f"i{k}" for k in range(shape + 1)]

    def whole(n: int) -> Any:
        texts = [{"Fn::Sub": "${X}-${AWS::Region}"} for _ in range(n)]
        return _looped(["X", items, {"Q${X}": {**QUEUE, "Properties": {"P": texts}}}])

    return _json(size, whole)


@kind
def nested_loops(size: int, shape: int) -> Template:
    """Loops in loops that make nothing, over long lists."""

    def whole(n: int) -> Any:
        inner: Any = {"${Z}": QUEUE}
        loop: Any = ["Z", [], inner]
        for level in range(shape % 5 + 2):
            loop = [f"X{level}", [str(k) for k in range(n)], {f"Fn::ForEach::L{level}": loop}]
        return _looped(loop)

    return _json(size, whole)


@kind
def loops_over_mappings(size: int, shape: int) -> Template:
    items = [f"i{k}" for k in range(shape * 10 + 2)]
    found = {"Fn::FindInMap": ["M", "a", "b"]}

    def whole(n: int) -> Any:
        mappings = {"M": {"a": {"b": [str(k) for k in range(n)]}}}
        inner = {"Fn::ForEach::B": ["Y", found, {"${X}${Y}": QUEUE}]}
        return _looped(["X", items, inner], Mappings=mappings)

    return _json(size, whole)


@kind
def repeated_names(size: int, shape: int) -> Template:
    """Every key is given twice, so that the template is read with either."""
    part = f"  Q: {{Type: AWS::SQS::Queue, Properties: {{{'A: 1, ' * (shape + 1)}B: 2}}}}\n"
    return _yaml(size, "Resources:\n  R: {Type: AWS::SQS::Queue}\n", part)
