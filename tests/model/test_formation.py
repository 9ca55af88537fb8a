"""What a body says: a CloudFormation or SAM template, or why it is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import Invalid, Malformed
from slipway.model import formation
from slipway.model.formation import Formation

QUEUE = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"
WHOLE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small, Description: How big.}
  Count: {Type: Number, MinValue: 1, MaxValue: 5, Default: 1.50}
  Password: {Type: String, NoEcho: true, MinLength: 8, MaxLength: 64}
  Names: {Type: CommaDelimitedList, AllowedPattern: "[a-z]+", ConstraintDescription: lower case}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-${Size}"
      Delay: !If [IsBig, !Ref Count, !Ref AWS::NoValue]
  Web: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt Role.Arn}}
  More: {Type: AWS::SQS::Queue}
Outputs:
  Url: {Value: !Join ["", [a, !Ref Jobs]]}
"""


def read(text: str | bytes, *, is_json: bool = False) -> Formation:
    return formation.read(text if isinstance(text, bytes) else text.encode(), is_json=is_json)


def refused(text: str | bytes, *, is_json: bool = False) -> dict[str, str]:
    """Pointer -> what is wrong there."""
    with pytest.raises(Invalid) as error:
        read(text, is_json=is_json)
    return {each.pointer: each.detail for each in error.value.fields}


def test_a_template_says_what_goes_in_what_comes_out_and_what_it_makes() -> None:
    found = read(WHOLE)
    size, count, password, names = found.parameters

    assert (size.name, size.type, size.default) == ("Size", "String", "small")
    assert (size.allowed_values, size.description) == (["small", "large"], "How big.")
    # As it is written: a number would lose its zero.
    assert (count.default, count.min_value, count.max_value) == ("1.50", "1", "5")
    assert (password.no_echo, password.min_length, password.max_length) == (True, 8, 64)
    assert (names.allowed_pattern, names.constraint_description) == ("[a-z]+", "lower case")
    assert found.outputs == ["Url"]
    assert found.resources == {"AWS::SQS::Queue": 2, "AWS::Serverless::Function": 1}
    assert found.sam


def test_json_says_the_same() -> None:
    text = """{"Transform": ["AWS::Serverless-2016-10-31"],
      "Parameters": {"Count": {"Type": "Number", "Default": 1.50, "MinValue": 1},
                     "Password": {"Type": "String", "NoEcho": true}},
      "Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}"""

    found = read(text, is_json=True)

    assert [(each.name, each.default) for each in found.parameters] == [
        ("Count", "1.50"),
        ("Password", None),
    ]
    assert found.parameters[1].no_echo
    assert found.sam
    assert read(json.dumps({"Resources": {"A": {"Type": "T"}}})) == read(
        json.dumps({"Resources": {"A": {"Type": "T"}}}), is_json=True
    )


def test_slipways_own_template_can_be_read() -> None:
    text = (Path(__file__).parents[2] / "template.yaml").read_bytes()

    found = read(text)

    assert "AWS::DynamoDB::Table" in found.resources
    assert "Stage" in [each.name for each in found.parameters]


@pytest.mark.parametrize(
    "text",
    [
        b"a: \xff",
        "a: [",
        "a: b: c",
        "\t- x",
        "a: 'x",
        "a: \x07",
        "%YAML 9.9\n---\na: b",
        "a: 1\n---\nb: 2",
        "a: %",
    ],
)
def test_what_is_no_yaml_is_said_to_be_none(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        read(text)


def test_where_the_yaml_is_broken_is_said() -> None:
    with pytest.raises(Malformed, match="line 2: "):
        read("Resources:\n  a: b: c\n")


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": Infinity}', "[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Malformed):
        read(text, is_json=True)


@pytest.mark.parametrize(
    "text,pointer",
    [
        ("", "#"),
        ("just text", "#"),
        ("[a, b]", "#"),
        ("Description: x", "#/Resources"),
        ("Resources: {}", "#/Resources"),
        ("Resources:", "#/Resources"),
        ("Resources: [a]", "#/Resources"),
        ("Resources: {Jobs: {Properties: {}}}", "#/Resources/Jobs/Type"),
        ("Resources: {Jobs: }", "#/Resources/Jobs/Type"),
        ("Resources: {Jobs: {Type: [a]}}", "#/Resources/Jobs/Type"),
        ("Resources: {my-jobs: {Type: T}}", "#/Resources/my-jobs"),
        ("Resources: {a/b: {Type: T}}", "#/Resources/a~1b"),
        (f"{QUEUE}\nOutputs: [a]", "#/Outputs"),
        (f"{QUEUE}\nTransform: Mine", "#/Transform"),
        (f"{QUEUE}\nTransform: [AWS::Serverless-2016-10-31, AWS::Include]", "#/Transform"),
        (f"{QUEUE}\nTransform: {{Name: AWS::Include}}", "#/Transform"),
        ("Resources: {A: {Type: T, Fn::Transform: {Name: Mine}}}", "#/Resources/A/Fn::Transform"),
        ("Resources: {A: {Type: T, P: [{Fn::Transform: x}]}}", "#/Resources/A/P/0/Fn::Transform"),
        (
            "Resources: {A: {Type: T, P: {Fn::ForEach::X: [a]}}}",
            "#/Resources/A/P/Fn::ForEach::X",
        ),
        (f"{QUEUE}\nParameters: {{A: x}}", "#/Parameters/A"),
        (f"{QUEUE}\nParameters: {{A: {{Default: x}}}}", "#/Parameters/A/Type"),
        (f"{QUEUE}\nParameters: {{A: {{Type: Text}}}}", "#/Parameters/A/Type"),
        (f"{QUEUE}\nParameters: {{A: {{Type: String, Size: 1}}}}", "#/Parameters/A/Size"),
        (f"{QUEUE}\nParameters: {{A: {{Type: String, Default: [1]}}}}", "#/Parameters/A/Default"),
        (f"{QUEUE}\nParameters: {{A: {{Type: String, NoEcho: no}}}}", "#/Parameters/A/NoEcho"),
        (
            f"{QUEUE}\nParameters: {{A: {{Type: String, MinLength: x}}}}",
            "#/Parameters/A/MinLength",
        ),
        (f"{QUEUE}\nParameters: {{A: {{Type: Number, MinValue: x}}}}", "#/Parameters/A/MinValue"),
        (
            f"{QUEUE}\nParameters: {{A: {{Type: String, AllowedValues: x}}}}",
            "#/Parameters/A/AllowedValues",
        ),
        (
            f"{QUEUE}\nParameters: {{A: {{Type: Number, Default: x}}}}",
            "#/Parameters/A/Default",
        ),
        (
            f"{QUEUE}\nParameters: {{A: {{Type: String, AllowedValues: [x], Default: y}}}}",
            "#/Parameters/A/Default",
        ),
    ],
)
def test_what_is_no_template_is_refused_where_it_is_none(text: str, pointer: str) -> None:
    assert pointer in refused(text)


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = "Resources: {A: {}, B: {}}\nParameters: {C: {Type: Text}}\nTransform: Mine"

    assert set(refused(text)) == {
        "#/Resources/A/Type",
        "#/Resources/B/Type",
        "#/Parameters/C/Type",
        "#/Transform",
    }


# --- what is not taken on trust ---------------------------------------------------------------

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    "text,pointer",
    [
        (LAUGHS, "#/a"),
        ("Resources: {A: &a {Type: T}, B: *a}", "#/Resources/A"),
        ("Resources: {A: *a}", "#/Resources/A"),
        ("Resources: {A: {Type: T}, A: {Type: U}}", "#/Resources/A"),
        ("Resources: {A: {Type: T, Type: U}}", "#/Resources/A/Type"),
        ("Resources: {A: {Type: !!python/object/apply:os.system [x]}}", "#/Resources/A/Type"),
        ("Resources: {A: {Type: !Evil x}}", "#/Resources/A/Type"),
        ("Resources: {A: {Type: !!binary aGk=}}", "#/Resources/A/Type"),
        ("? [a]\n: b", "#"),
        ("? {a: b}\n: b", "#"),
    ],
)
def test_yamls_tricks_are_refused_where_they_are(text: str, pointer: str) -> None:
    assert list(refused(text)) == [pointer]


def test_the_same_name_twice_is_refused_in_json_too() -> None:
    text = '{"Resources": {"A": {"Type": "T"}, "A": {"Type": "U"}}}'

    assert refused(text, is_json=True) == {"#/Resources/A": "is given more than once"}


@pytest.mark.parametrize("letter", ["[", "{a: ", "- ", "? "])
def test_depth_has_a_limit(letter: str) -> None:
    [(pointer, detail)] = refused(letter * 200_000).items()

    assert "deeply" in detail or "not text" in detail
    assert len(pointer) < 20_000


def test_depth_has_a_limit_in_json() -> None:
    text = '{"a":' * 60 + "1" + "}" * 60

    [detail] = refused(text, is_json=True).values()
    assert detail == "is nested too deeply"


def test_the_number_of_nodes_has_a_limit() -> None:
    assert "nodes" in refused("[" + "a," * 200_001 + "a]")["#"]


def test_what_is_said_of_parameters_has_a_limit() -> None:
    many = "".join(f"\n  P{n}: {{Type: String, Description: {'x' * 4000}}}" for n in range(60))

    assert "at most" in refused(f"{QUEUE}\nParameters:{many}")["#/Parameters"]


def test_there_are_not_more_parameters_than_cloudformation_takes() -> None:
    many = "".join(f"\n  P{n}: {{Type: String}}" for n in range(201))

    assert refused(f"{QUEUE}\nParameters:{many}") == {"#/Parameters": "must be at most 200"}


def test_half_a_character_is_refused() -> None:
    assert "#" in refused('{"Resources": {"A": {"Type": "\\ud800"}}}', is_json=True)


@given(st.text(max_size=200) | st.text("[]{}:,-?!&*|>'\"#%@ \n\tab", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for is_json in (False, True):
        try:
            formation.read(text.encode(errors="surrogatepass"), is_json=is_json)
        except (Invalid, Malformed) as error:
            assert len(str(error)) < 2000


# --- what a template may make -----------------------------------------------------------------


@pytest.mark.parametrize(
    "allowed,refuses",
    [
        (["AWS::SQS::Queue", "AWS::Serverless::Function"], []),
        (["AWS::SQS::*", "AWS::Serverless::*"], []),
        (["*"], []),
        (["AWS::SQS::*"], ["#/Resources/Web/Type"]),
        (
            ["AWS::SQS::Q"],
            ["#/Resources/Jobs/Type", "#/Resources/Web/Type", "#/Resources/More/Type"],
        ),
        (["aws::sqs::*", "AWS::S.S::*"], ["#/Resources/Jobs/Type"]),
        ([""], ["#/Resources/Jobs/Type"]),
    ],
)
def test_what_is_not_on_the_list_is_refused(allowed: list[str], refuses: list[str]) -> None:
    found = read(WHOLE)
    if not refuses:
        formation.refuse_others(found, allowed)
        return

    with pytest.raises(Invalid) as error:
        formation.refuse_others(found, allowed)

    pointers = [each.pointer for each in error.value.fields]
    assert set(refuses) <= set(pointers)
    assert re.search(r"is not allowed here", error.value.fields[0].detail)
