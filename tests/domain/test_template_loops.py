"""Loops of AWS::LanguageExtensions: what they make, and what is refused.

The results are compared with those of the laptop's CloudFormation, where placeholders are replaced
as it was measured on AWS.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services.cloudformation import language_extensions

from slipway.domain import template_loops, template_parser, template_warnings
from slipway.domain.allowances import Allowances
from slipway.domain.template import Parameter
from slipway.domain.template_parser import ParsedTemplate
from slipway.errors import Invalid

LANGUAGE = "Transform: AWS::LanguageExtensions\n"
QUEUES = """
Resources:
  Fn::ForEach::Queues:
    - Name
    - [Orders, Bills]
    - Queue${Name}:
        Type: AWS::SQS::Queue
        Properties:
          QueueName: !Sub "${AWS::StackName}-${Name}"
          Tags: [{Key: n, Value: !Ref Name}]
"""
ALLOWED = Allowances(["AWS::SQS::*", "AWS::Lambda::*", "AWS::Serverless::*"])


def read(text: str, **values: str) -> ParsedTemplate:
    return template_parser.read(text.encode(), is_json=False, values=values)


def refused(text: str, **values: str) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        template_parser.check_allowed(read(text, **values), ALLOWED)
    return {each.pointer: each.detail for each in error.value.fields}


def made(text: str, **values: str) -> dict[str, Any]:
    return dict(read(LANGUAGE + text, **values).sections["Resources"])


def test_a_loop_makes_one_member_for_each_item() -> None:
    def queue(name: str) -> dict[str, Any]:
        named = {"Fn::Sub": f"${{AWS::StackName}}-{name}"}
        properties = {"QueueName": named, "Tags": [{"Key": "n", "Value": name}]}
        return {"Type": "AWS::SQS::Queue", "Properties": properties}

    found = read(LANGUAGE + QUEUES)

    assert found.sections["Resources"] == {
        "QueueOrders": queue("Orders"),
        "QueueBills": queue("Bills"),
    }
    assert found.resources == {"AWS::SQS::Queue": 2}
    assert template_parser.check_allowed(found, ALLOWED)


def test_loops_may_be_nested_and_make_conditions_outputs_and_properties() -> None:
    text = """
Parameters: {Stages: {Type: CommaDelimitedList, Default: "a, b"}}
Mappings: {Sizes: {a: {Delay: 1}, b: {Delay: 2}}}
Conditions:
  Fn::ForEach::Conditions: [Stage, !Ref Stages, {"Is${Stage}": !Equals [!Ref Stage, a]}]
Resources:
  Fn::ForEach::Stages:
    - Stage
    - !Ref Stages
    - Fn::ForEach::Kinds:
        - Kind
        - [x-1, y.2]
        - "Queue&{Kind}${Stage}":
            Type: AWS::SQS::Queue
            Condition: !Sub Is${Stage}
            Properties:
              Fn::ForEach::Properties:
                - Property
                - [DelaySeconds]
                - ${Property}: !FindInMap [Sizes, !Ref Stage, Delay]
Outputs:
  Fn::ForEach::Outputs:
    - Stage
    - !Ref Stages
    - Arn${Stage}: {Value: !GetAtt [!Sub "Queuex1${Stage}", Arn], Condition: !Sub "Is${Stage}"}
"""
    found = read(LANGUAGE + text)

    assert set(found.types) == {"Queuex1a", "Queuey2a", "Queuex1b", "Queuey2b"}
    assert found.sections["Resources"]["Queuey2b"] == {
        "Type": "AWS::SQS::Queue",
        "Condition": "Isb",
        "Properties": {"DelaySeconds": {"Fn::FindInMap": ["Sizes", "b", "Delay"]}},
    }
    assert found.sections["Conditions"] == {
        f"Is{stage}": {"Fn::Equals": [stage, "a"]} for stage in "ab"
    }
    assert found.sections["Outputs"]["Arnb"] == {
        "Value": {"Fn::GetAtt": ["Queuex1b", "Arn"]},
        "Condition": "Isb",
    }
    assert found.outputs == ["Arna", "Arnb"]
    assert found.expansion.looped == {"Stages"}
    assert set(read(LANGUAGE + text, Stages="c,d").types) == {
        f"Queue{kind}{stage}" for kind in ("x1", "y2") for stage in "cd"
    }


@pytest.mark.parametrize(
    "collection,names",
    [
        ("[A, !Ref One, !Sub 'B']", "A One1 B"),
        ("!Ref Several", "C D"),
        ("!FindInMap [Names, all, !Ref Key]", "E F"),
        ("!FindInMap [Names, none, of, {DefaultValue: [G]}]", "G"),
    ],
)
def test_a_collection_is_a_list_a_parameter_or_found_in_a_mapping(
    collection: str, names: str
) -> None:
    text = f"""
Parameters:
  One: {{Type: String, Default: One1}}
  Several: {{Type: CommaDelimitedList, Default: "C,D"}}
  Key: {{Type: String, Default: of}}
Mappings: {{Names: {{all: {{of: [E, F]}}}}}}
Resources:
  Fn::ForEach::Q: [X, {collection}, {{"${{X}}": {{Type: AWS::SQS::Queue}}}}]
"""
    assert list(made(text)) == names.split()


def test_a_loop_works_together_with_sam() -> None:
    text = """
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Resources:
  Fn::ForEach::Tables: [X, [A, B], {"Table${X}": {Type: AWS::Serverless::SimpleTable}}]
"""
    found = read(text)

    assert found.sam
    assert found.resources == {"AWS::Serverless::SimpleTable": 2}


@pytest.mark.parametrize(
    "transform",
    [
        "[AWS::Serverless-2016-10-31, AWS::LanguageExtensions]",
        "[AWS::LanguageExtensions, Payroll]",
        "[AWS::LanguageExtensions, AWS::LanguageExtensions]",
        "[AWS::LanguageExtensions, {Name: AWS::Include}]",
    ],
)
def test_another_order_or_transform_is_refused(transform: str) -> None:
    assert list(refused(f"Transform: {transform}\n{QUEUES}")) == ["#/Transform"]


@pytest.mark.parametrize("transform", ["", "Transform: AWS::Serverless-2016-10-31\n"])
def test_a_loop_without_the_transform_is_told_as_such(transform: str) -> None:
    assert refused(f"{transform}{QUEUES}") == {
        "#/Resources/Fn::ForEach::Queues": "needs the transform AWS::LanguageExtensions"
    }


@pytest.mark.parametrize("function", ["Fn::Length: [a]", "Fn::ToJsonString: {a: 1}"])
def test_the_functions_need_the_transform(function: str) -> None:
    text = (
        f"Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{DelaySeconds: {{{function}}}}}}}}}"
    )
    name = function.partition(": ")[0]

    assert refused(text) == {
        f"#/Resources/Q/Properties/DelaySeconds/{name}": (
            "needs the transform AWS::LanguageExtensions"
        )
    }
    assert read(LANGUAGE + text).types


def test_a_fault_has_the_pointer_of_what_was_written_once() -> None:
    at = "#/Resources/Fn::ForEach::Queues/2/Queue${Name}"

    wrong = LANGUAGE + QUEUES.replace("AWS::SQS::Queue", "AWS::EC2::Instance")
    assert refused(wrong)[f"{at}/Type"].startswith("AWS::EC2::Instance is not allowed here")
    foreign = LANGUAGE + QUEUES.replace("${AWS::StackName}-", "")
    assert list(refused(foreign)) == [f"{at}/Properties/QueueName"]
    bad_name = LANGUAGE + QUEUES.replace("Orders", "'a-b'")
    assert refused(bad_name) == {at: "must be letters and digits"}


def test_a_warning_has_the_pointer_of_what_was_written() -> None:
    long = "x" * 70
    text = LANGUAGE + QUEUES.replace("-${Name}", f"-${{Name}}-{long}")

    pointers = {each.pointer for each in template_warnings.found(read(text))}

    assert "#/Resources/Fn::ForEach::Queues/2/Queue${Name}/Properties/QueueName" in pointers


LOOP = "#/Resources/Fn::ForEach::Q"


@pytest.mark.parametrize(
    "loop,pointer",
    [
        ("x", LOOP),
        ("[X, [A]]", LOOP),
        ("[[X], [A], {'${X}': {}}]", f"{LOOP}/0"),
        ("[X-1, [A], {'${X-1}': {}}]", f"{LOOP}/0"),
        ("[Size, [A], {'${Size}': {}}]", f"{LOOP}/0"),
        ("[X, [A], []]", f"{LOOP}/2"),
        ("[X, [A], {}]", f"{LOOP}/2"),
        ("[X, A, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, [{a: b}], {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Ref Gone, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Ref AWS::Region, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Split [',', a], {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Ref Secret, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Ref ProjectName, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Ref NoDefault, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !Ref Public, {'${X}': {}}]", f"{LOOP}/1"),
        ("[X, !FindInMap [M, a], {'${X}': {}}]", f"{LOOP}/1/Fn::FindInMap"),
        ("[X, !FindInMap [M, a, b], {'${X}': {}}]", f"{LOOP}/1/Fn::FindInMap"),
        ("[X, !FindInMap [M, !Ref AWS::Region, b], {'${X}': {}}]", f"{LOOP}/1/Fn::FindInMap/1"),
        ("[X, [A], {Fixed: {Type: T}}]", f"{LOOP}/2/Fixed"),
        ("[X, [A, A], {'${X}': {Type: T}}]", LOOP),
        ("[X, [Jobs], {'${X}': {Type: T}}]", LOOP),
        (
            "[X, [A], {'${X}': {Type: T, Properties: {P: 'a ${X}'}}}]",
            f"{LOOP}/2/${{X}}/Properties/P",
        ),
        (
            "[X, [A], {'${X}': {Type: T, Properties: {'a&{X}': 1}}}]",
            f"{LOOP}/2/${{X}}/Properties/a&{{X}}",
        ),
        (
            "[X, [A], {'${X}': {Type: T, Properties: {P: !Sub ['${X}', {X: 1}]}}}]",
            f"{LOOP}/2/${{X}}/Properties/P/Fn::Sub/1",
        ),
        (
            "[X, [A], {'Fn::ForEach::Q': [Y, [B], {'${Y}': {Type: T}}]}]",
            f"{LOOP}/2/Fn::ForEach::Q",
        ),
        (
            "[X, [A], {'Fn::ForEach::R': [X, [B], {'${X}': {Type: T}}]}]",
            f"{LOOP}/2/Fn::ForEach::R/0",
        ),
    ],
)
def test_a_malformed_loop_is_refused_with_its_place(loop: str, pointer: str) -> None:
    text = f"""
Parameters:
  Size: {{Type: String, Default: small}}
  Secret: {{Type: CommaDelimitedList, NoEcho: true, Default: "a,b"}}
  ProjectName: {{Type: CommaDelimitedList}}
  NoDefault: {{Type: CommaDelimitedList}}
  Public: {{Type: AWS::SSM::Parameter::Value<List<String>>, Default: /aws/service/a}}
Resources: {{Jobs: {{Type: AWS::SQS::Queue}}, "Fn::ForEach::Q": {loop}}}
"""
    assert list(refused(LANGUAGE + text)) == [pointer]


@pytest.mark.parametrize(
    "section",
    [
        "Mappings: {M: {'Fn::ForEach::Q': [X, [A], {'${X}': {a: b}}]}}",
        "Metadata: {'Fn::ForEach::Q': [X, [A], {'${X}': 1}]}",
        "Rules: {R: {'Fn::ForEach::Q': [X, [A], {'${X}': 1}]}}",
        "Conditions: {'Fn::ForEach': [X, [A], {'${X}': 1}]}",
    ],
)
def test_a_loop_elsewhere_is_refused(section: str) -> None:
    assert refused(f"{LANGUAGE}{section}\nResources: {{Q: {{Type: AWS::SQS::Queue}}}}")


@pytest.mark.parametrize(
    "smuggled",
    [
        '"${X}": {Type: AWS::IAM::User}',
        '"${X}": {Type: !Sub "AWS::${X}::User"}',
        '"${X}": {Type: !Ref X}',
        '"${X}": {Type: AWS::SQS::Queue, DeletionPolicy: !Sub "${X}"}',
        '"${X}": {Type: AWS::SQS::Queue, DeletionPolicy: !Ref X}',
        '"${X}": {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref X}}',
        '"${X}": {Type: AWS::Lambda::Function, Properties: {"Fn::ForEach::P": [Y, [Role], '
        '{"${Y}": "arn:aws:iam::1:role/x"}]}}',
    ],
)
def test_nothing_is_smuggled_through_a_loop(smuggled: str) -> None:
    text = f'Resources: {{"Fn::ForEach::Q": [X, [IAM, Retain], {{{smuggled}}}]}}'

    assert all(pointer.startswith(LOOP) for pointer in refused(LANGUAGE + text))


def test_the_number_of_resources_is_limited_after_the_expansion() -> None:
    text = LANGUAGE + QUEUES.replace("[Orders, Bills]", str([f"Q{n}" for n in range(201)]))

    assert refused(text)["#/Resources"] == "must be at most 200"


def test_capacity_is_counted_for_each_member() -> None:
    function = (
        "{Type: AWS::Lambda::Function, Properties: {ReservedConcurrentExecutions: 4, Role: x}}"
    )
    text = f'Resources: {{"Fn::ForEach::F": [X, [A, B, C], {{"F${{X}}": {function}}}]}}'

    at = "#/Resources/Fn::ForEach::F/2/F${X}/Properties/ReservedConcurrentExecutions"
    assert "12 reserved" in str([d for p, d in _all(LANGUAGE + text) if p == at])


def _all(text: str) -> list[tuple[str, str]]:
    allowed = Allowances(["AWS::Lambda::*"], limits={"reserved": 10})
    with pytest.raises(Invalid) as error:
        template_parser.check_allowed(read(text), allowed)
    return [(each.pointer, each.detail) for each in error.value.fields]


def nested(levels: int, items: int, inner: str) -> str:
    for n in range(levels):
        several = ", ".join(f"i{k}" for k in range(items))
        inner = f'"Fn::ForEach::L{n}": [X{n}, [{several}], {{{inner}}}]'
    return f"Resources: {{{inner}}}"


@pytest.mark.parametrize(
    "text",
    [
        nested(8, 10, '"' + "".join(f"${{X{n}}}" for n in range(8)) + '": {Type: T}'),
        nested(5, 60, '"Fn::ForEach::E": [Y, [], {"${Y}": {Type: T}}]'),
        nested(1, 2_000, '"${X0}": {Type: T, Properties: {P: !Sub "' + "${X0}" * 1000 + '"}}'),
        nested(2, 30, '"${X0}${X1}": {Type: T, P: [' + "[]," * 1000 + "]}"),
    ],
)
def test_what_loops_make_is_limited_and_takes_little_time(text: str) -> None:
    began = time.thread_time()

    [(pointer, detail)] = refused(LANGUAGE + text).items()

    assert "makes more than" in detail
    assert pointer.startswith("#/Resources/Fn::ForEach::L")
    assert time.thread_time() - began < 2


def test_the_limits_are_those_that_the_documentation_names() -> None:
    assert template_loops.MOST_NODES == 150_000


# --- beside another implementation ------------------------------------------------------------

WORDS = st.lists(st.text("abAB1-._", min_size=1, max_size=4), max_size=3, unique=True)
KEYS = st.sampled_from(["${%s}", "&{%s}", "Q${%s}", "&{%s}Z"])


@st.composite
def loops(draw: st.DrawFn, outer: tuple[str, ...] = (), key: str = "") -> dict[str, Any]:
    """A loop with one resource or another loop inside."""
    name = f"X{len(outer)}"
    names, key = (*outer, name), key + draw(KEYS) % name
    if len(outer) < 2 and draw(st.booleans()):
        inner = draw(loops(names, key))
    else:
        text = "".join(f"${{{each}}}-" for each in names) + "${AWS::Region} ${!X0}"
        properties = {"A": {"Fn::Sub": text}, "B": [{"Ref": name}], "C": {"Ref": "P"}}
        inner = {key: {"Type": "AWS::SQS::Queue", "Properties": properties}}
    collection = draw(st.one_of(WORDS, st.just({"Ref": "P"})))
    return {f"Fn::ForEach::L{len(outer)}": [name, collection, inner]}


@given(loops())
def test_the_laptops_cloudformation_makes_the_same(loop: dict[str, Any]) -> None:
    tree = {
        "Parameters": {"P": {"Type": "CommaDelimitedList"}},
        "Resources": {"Fixed": {"Type": "AWS::SQS::Queue"}, **loop},
    }
    parameters = [Parameter.model_validate({"name": "P", "type": "CommaDelimitedList"})]
    try:
        theirs = language_extensions.apply(tree, {"P": "a, b-c"})["Resources"]
    except language_extensions.LanguageExtensionsError:
        theirs = None

    try:
        found = template_loops.expanded(tree, parameters, {"P": "a, b-c"})
        ours = found.tree["Resources"]
    except Invalid:
        ours = None

    # Names that are no letters and digits are refused later here.
    if ours and all(name.isalnum() for name in ours):
        assert ours == theirs
    else:
        assert theirs is None
