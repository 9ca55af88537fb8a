"""Parsing of template bodies: CloudFormation or SAM, and why a body is refused."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.model.sam_resources import SamFunction, SamStateMachine

from slipway.domain import sam_events, template_parser
from slipway.domain.allowances import Allowances
from slipway.domain.resource_types import INSTEAD
from slipway.domain.template_parser import ParsedTemplate
from slipway.errors import Invalid, Malformed
from tests.support.repository import ROOT, template
from tests.support.store_names import NOT_PUBLIC

QUEUE = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"
WHOLE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small, Description: How big.}
  Count: {Type: Number, MinValue: 1, MaxValue: 5, Default: 1.50}
  Password: {Type: String, NoEcho: true, MinLength: 8, MaxLength: 64}
  Names: {Type: CommaDelimitedList, AllowedPattern: "[a-z]+", ConstraintDescription: lower case}
Conditions:
  IsBig: !Equals [!Ref Size, large]
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-${Size}"
      Delay: !If [IsBig, !Ref Count, !Ref AWS::NoValue]
  Web: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt More.Arn}}
  More: {Type: AWS::SQS::Queue}
Outputs:
  Url: {Value: !Join ["", [a, !Ref Jobs]]}
"""


def read(text: str | bytes, *, is_json: bool = False) -> ParsedTemplate:
    return template_parser.read(text if isinstance(text, bytes) else text.encode(), is_json=is_json)


def refused(text: str | bytes, *, is_json: bool = False) -> dict[str, str]:
    """Pointer -> what is wrong there."""
    with pytest.raises(Invalid) as error:
        read(text, is_json=is_json)
    return {each.pointer: each.detail for each in error.value.fields}


def test_parsing_finds_parameters_outputs_and_types() -> None:
    found = read(WHOLE)
    size, count, password, names = found.parameters

    assert (size.name, size.type, size.default) == ("Size", "String", "small")
    assert (size.allowed_values, size.description) == (["small", "large"], "How big.")
    # As CloudFormation reads it: a number loses its zero.
    assert (count.default, count.min_value, count.max_value) == ("1.5", "1", "5")
    assert (password.no_echo, password.min_length, password.max_length) == (True, 8, 64)
    assert (names.allowed_pattern, names.constraint_description) == ("[a-z]+", "lower case")
    assert found.outputs == ["Url"]
    assert found.resources == {"AWS::SQS::Queue": 2, "AWS::Serverless::Function": 1}
    assert found.sam


def test_json_is_parsed_like_yaml() -> None:
    text = """{"Transform": ["AWS::Serverless-2016-10-31"],
      "Parameters": {"Count": {"Type": "Number", "Default": 1.50, "MinValue": 1},
                     "Password": {"Type": "String", "NoEcho": true}},
      "Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}"""

    found = read(text, is_json=True)

    assert [(each.name, each.default) for each in found.parameters] == [
        ("Count", "1.5"),
        ("Password", None),
    ]
    assert found.parameters[1].no_echo
    assert found.sam
    assert read(json.dumps({"Resources": {"A": {"Type": "T"}}})) == read(
        json.dumps({"Resources": {"A": {"Type": "T"}}}), is_json=True
    )


def test_the_template_of_slipway_can_be_parsed() -> None:
    include = r"\{\s*Fn::Transform: \{Name: AWS::Include, Parameters: \{Location: ([\w/.]+)\}\}\}"

    paths = set()

    def included(found: re.Match[str]) -> str:
        paths.add(found[1])
        return json.dumps(yaml.safe_load((ROOT / found[1]).read_text()))

    # CloudFormation includes the files before it parses the rest, short forms and all.
    text = re.sub(include, included, (ROOT / "template.yaml").read_text())

    found = read(text)

    folders = ("alarms", "policies", "throttling")
    assert paths == {
        f"{folder}/{each.name}" for folder in folders for each in (ROOT / folder).glob("*.yaml")
    }
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
def test_a_body_that_is_not_yaml_is_refused(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        read(text)


def test_the_place_of_a_yaml_error_is_reported() -> None:
    with pytest.raises(Malformed, match="line 2: "):
        read("Resources:\n  a: b: c\n")


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": Infinity}', "[" * 100_000])
def test_a_body_that_is_not_json_is_refused(text: str) -> None:
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
        (f"{QUEUE}\nParameters: {{A: {{Type: String, NoEcho: n}}}}", "#/Parameters/A/NoEcho"),
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
def test_a_malformed_template_is_refused_with_the_place(text: str, pointer: str) -> None:
    assert pointer in refused(text)


OF_THE_STORE = [
    "String",
    "List<String>",
    "CommaDelimitedList",
    "AWS::EC2::Image::Id",
    "List<AWS::EC2::Subnet::Id>",
]


@pytest.mark.parametrize("of", OF_THE_STORE)
def test_a_parameter_reads_a_public_parameter_of_aws(of: str) -> None:
    declared = f"{{A: {{Type: AWS::SSM::Parameter::Value<{of}>, Default: /aws/service/a/b_1.2}}}}"

    [found] = read(f"{QUEUE}\nParameters: {declared}").parameters

    assert (found.type, found.is_read) == (f"AWS::SSM::Parameter::Value<{of}>", True)
    assert found.default == "/aws/service/a/b_1.2"


@pytest.mark.parametrize("of", OF_THE_STORE)
@pytest.mark.parametrize("name", NOT_PUBLIC)
def test_a_parameter_reads_nothing_else_in_the_parameter_store(of: str, name: str) -> None:
    declared = f"{{A: {{Type: AWS::SSM::Parameter::Value<{of}>, Default: {json.dumps(name)}}}}}"

    [(pointer, detail)] = refused(f"{QUEUE}\nParameters: {declared}").items()

    assert pointer == "#/Parameters/A/Default"
    assert detail.startswith("must name one of AWS's public parameters")


@pytest.mark.parametrize("of", ["Number", "SecureString", "", "List<Number>", "String>", "String<"])
def test_only_the_types_that_cloudformation_has_read_the_parameter_store(of: str) -> None:
    declared = f"{{A: {{Type: 'AWS::SSM::Parameter::Value<{of}>', Default: /aws/service/a}}}}"

    assert set(refused(f"{QUEUE}\nParameters: {declared}")) == {"#/Parameters/A/Type"}


def test_a_public_parameter_is_no_secret_and_nothing_that_slipway_fills_in() -> None:
    kind = "Type: AWS::SSM::Parameter::Value<String>, Default: /aws/service/a"
    declared = f"{{A: {{{kind}, NoEcho: true}}, Version: {{{kind}}}}}"

    assert set(refused(f"{QUEUE}\nParameters: {declared}")) == {
        "#/Parameters/A/NoEcho",
        "#/Parameters/Version/Type",
    }


def test_a_dynamic_reference_is_refused_wherever_it_is() -> None:
    text = f"""{QUEUE}
Parameters:
  Name: {{Type: AWS::SSM::Parameter::Name, Default: /x}}
  Image: {{Type: String, Default: "{{{{resolve:ssm:/image}}}}"}}
"""

    [(pointer, detail)] = refused(text).items()

    assert pointer == "#/Parameters/Image/Default"
    assert detail.startswith("must not contain a dynamic reference")


def test_all_errors_are_reported_at_once() -> None:
    text = "Resources: {A: {}, B: {}}\nParameters: {C: {Type: Text}}\nTransform: Mine"

    assert set(refused(text)) == {
        "#/Resources/A/Type",
        "#/Resources/B/Type",
        "#/Parameters/C/Type",
        "#/Transform",
    }


@pytest.mark.parametrize(
    "text,why",
    [
        ("Globals: {Function: {Timeout: 5}}\n" + QUEUE, "there are Globals"),
        (
            "Resources: {Web: {Type: AWS::Serverless::Function}}",
            "Web is of the type AWS::Serverless::Function",
        ),
    ],
)
def test_a_missing_transform_is_told_as_such(text: str, why: str) -> None:
    detail = f"must have AWS::Serverless-2016-10-31, because {why}"

    assert refused(text) == {"#/Transform": detail}


def test_parameters_have_the_labels_and_the_order_of_the_interface() -> None:
    text = """
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups:
      - {Label: {default: Sizing}, Parameters: [Delay, Gone, Size, Delay]}
      - {Parameters: [Name, Size]}
      - {Label: {default: Nothing}, Parameters: [Size]}
    ParameterLabels: {Delay: {default: Seconds before delivery}, Gone: {default: x}, Name: y}
Parameters:
  Name: {Type: String}
  Size: {Type: String}
  Other: {Type: "List<String>"}
  Delay: {Type: Number}
"""
    found = read(text + QUEUE)

    assert [(each.name, each.label) for each in found.parameters] == [
        ("Delay", "Seconds before delivery"),
        ("Size", None),
        ("Name", None),
        ("Other", None),
    ]
    assert [(each.label, each.parameters) for each in found.groups] == [
        ("Sizing", ["Delay", "Size"]),
        (None, ["Name"]),
    ]


@pytest.mark.parametrize(
    "interface",
    [
        "x",
        "[1]",
        "{ParameterGroups: x, ParameterLabels: [1]}",
        "{ParameterGroups: [x, {Parameters: {A: 1}}, {Parameters: [[A], {A: A}]}]}",
        '{ParameterLabels: {A: {default: "\u202e"}}}',
        "{ParameterLabels: {A: {default: [x]}}}",
    ],
)
def test_an_interface_without_its_form_is_left_out(interface: str) -> None:
    text = f"Metadata: {{AWS::CloudFormation::Interface: {interface}}}\n{QUEUE}"

    found = read(text + "\nParameters: {A: {Type: String}}")

    assert ([each.label for each in found.parameters], found.groups) == ([None], [])


# --- what is not taken on trust ---------------------------------------------------------------

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    "text,pointer",
    [
        (LAUGHS, "#/b/0"),
        ("Resources: {A: &a {Type: T}, B: *a}", "#/Resources/B"),
        ("Resources: {A: *a}", "#/Resources/A"),
        ("Resources: {A: {Type: T}}\nResources: {A: {Type: U}}", "#/Resources"),
        ("Resources: {A: {Type: !!python/object/apply:os.system [x]}}", "#/Resources/A/Type"),
        ("Resources: {A: {Type: !Evil x}}", "#/Resources/A/Type"),
        ("Resources: {A: {Type: !!binary aGk=}}", "#/Resources/A/Type"),
        ("? [a]\n: b", "#"),
        ("? {a: b}\n: b", "#"),
    ],
)
def test_aliases_and_other_tricks_of_yaml_are_refused(text: str, pointer: str) -> None:
    assert list(refused(text)) == [pointer]


@pytest.mark.parametrize("is_json", [False, True])
def test_the_last_of_a_repeated_key_counts(is_json: bool) -> None:
    text = '{"Resources": {"A": {"Type": "T"}, "A": {"Type": "U", "Type": "V"}}}'

    found = read(text, is_json=is_json)

    assert found.types == {"A": "V"}
    assert found.repeated == ["#/Resources/A", "#/Resources/A/Type"]
    assert found.otherwise
    assert found.otherwise.types == {"A": "T"}


def test_a_template_is_refused_for_what_the_first_of_a_repeated_key_says() -> None:
    assert list(refused("Resources: {A: {}, A: {Type: U}}")) == ["#/Resources/A/Type"]
    found = read("Resources: {A: {Type: AWS::IAM::User}, A: {Type: AWS::SQS::Queue}}")
    with pytest.raises(Invalid) as error:
        template_parser.check_allowed(found, Allowances(["AWS::SQS::*"]))
    assert [each.pointer for each in error.value.fields] == ["#/Resources/A/Type"]


def test_an_anchor_without_an_alias_is_accepted() -> None:
    assert read("Resources: {A: &a {Type: &b T}}").types == {"A": "T"}


@pytest.mark.parametrize("section", ["Parameters", "Resources", "Outputs", "Conditions"])
@pytest.mark.parametrize("name,value", [("On", "true"), ("No", "false"), ("010", "8")])
def test_a_name_that_yaml_does_not_read_as_text_is_refused(
    section: str, name: str, value: str
) -> None:
    other = "" if section == "Resources" else f"\n{QUEUE}"

    assert refused(f"{section}: {{{name}: {{Type: String}}}}{other}") == {
        f"#/{section}/{name}": f"is read as {value}, not as a name: write it in quotes"
    }


@pytest.mark.parametrize("name", ["y", "N", "'On'", '"No"', "12"])
def test_other_names_are_read_as_they_are_written(name: str) -> None:
    text = f"Parameters: {{{name}: {{Type: String}}}}\n{QUEUE}"

    assert [each.name for each in read(text).parameters] == [name.strip("'\"")]


def test_defaults_and_allowed_values_are_the_texts_that_cloudformation_sees() -> None:
    declared = "Type: String, Default: yes, AllowedValues: [yes, no, 010, 1:30, 1_000, 1.10, '010']"

    [found] = read(f"Parameters: {{A: {{{declared}}}}}\n{QUEUE}").parameters

    assert found.default == "true"
    assert found.allowed_values == ["true", "false", "8", "90", "1000", "1.1", "010"]


@pytest.mark.parametrize("letter", ["[", "{a: ", "- ", "? "])
def test_depth_has_a_limit(letter: str) -> None:
    [(pointer, detail)] = refused(letter * 200_000).items()

    assert "deeply" in detail or "not a string" in detail
    assert len(pointer) < 20_000


def test_depth_has_a_limit_in_json() -> None:
    text = '{"a":' * 60 + "1" + "}" * 60

    [detail] = refused(text, is_json=True).values()
    assert detail == "is nested too deeply"


def test_the_number_of_nodes_has_a_limit() -> None:
    assert "nodes" in refused("[" + "a," * 200_001 + "a]")["#"]


def test_the_descriptions_of_parameters_have_a_limit() -> None:
    many = "".join(f"\n  P{n}: {{Type: String, Description: {'x' * 4000}}}" for n in range(60))

    assert "at most" in refused(f"{QUEUE}\nParameters:{many}")["#/Parameters"]


def test_the_number_of_parameters_has_the_limit_of_cloudformation() -> None:
    many = "".join(f"\n  P{n}: {{Type: String}}" for n in range(201))

    assert refused(f"{QUEUE}\nParameters:{many}") == {"#/Parameters": "must be at most 200"}


@pytest.mark.parametrize("letter", ["\\u0000", "\\u0001", "\\u001b", "\\ud800", "\\uffff"])
def test_a_character_that_xml_forbids_is_refused(letter: str) -> None:
    said = "must not contain control characters"
    value = f'{{"Resources": {{"A": {{"Type": "T", "P": ["a{letter}"]}}}}}}'
    name = f'{{"Resources": {{"A": {{"Type": "T", "a{letter}": 1}}}}}}'

    for is_json in (True, False) if letter != "\\ud800" else (True,):
        assert refused(value, is_json=is_json) == {"#/Resources/A/P/0": said}
        assert refused(name, is_json=is_json) == {"#/Resources/A": said}


@given(st.text(max_size=200) | st.text("[]{}:,-?!&*|>'\"#%@ \n\tab", max_size=80))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for is_json in (False, True):
        try:
            template_parser.read(text.encode(errors="surrogatepass"), is_json=is_json)
        except (Invalid, Malformed) as error:
            assert len(str(error)) < 2000


# --- what refers to what ----------------------------------------------------------------------

NAMES = """
Parameters: {Size: {Type: String, Default: small}}
Mappings: {Sizes: {small: {Cpu: 1}}}
Conditions:
  IsBig: !Equals [!Ref Size, large]
Resources:
  Jobs: {Type: AWS::SQS::Queue}
"""
SAM_TOO = f"Transform: {template_parser.SAM}{NAMES}"


def with_properties(properties: str) -> str:
    return f"{NAMES}  More: {{Type: AWS::SQS::Queue, Properties: {properties}}}\n"


@pytest.mark.parametrize(
    "properties,at,detail",
    [
        ("{P: !Ref Nope}", "P/Ref", "Nope is neither a parameter nor a resource"),
        ("{P: [1, {Ref: Nope}]}", "P/1/Ref", "Nope is neither a parameter nor a resource"),
        ("{P: !Ref AWS::Nope}", "P/Ref", "AWS::Nope is neither a parameter nor a resource"),
        ("{P: !GetAtt Nope.Arn}", "P/Fn::GetAtt", "Nope is not a resource"),
        ("{P: {Fn::GetAtt: Nope.Arn}}", "P/Fn::GetAtt", "Nope is not a resource"),
        ("{P: {Fn::GetAtt: [Nope, Arn]}}", "P/Fn::GetAtt", "Nope is not a resource"),
        ("{P: !GetAtt Size.Arn}", "P/Fn::GetAtt", "Size is not a resource"),
        (
            '{P: !Sub "a ${Size} ${Nope}"}',
            "P/Fn::Sub",
            "Nope is neither a parameter nor a resource",
        ),
        ('{P: !Sub "${ Nope }"}', "P/Fn::Sub", "Nope is neither a parameter nor a resource"),
        ('{P: !Sub "${Nope.Arn}"}', "P/Fn::Sub", "Nope is not a resource"),
        (
            '{P: !Sub ["${X}${Nope}", {X: 1}]}',
            "P/Fn::Sub",
            "Nope is neither a parameter nor a resource",
        ),
        ('{P: !Sub ["${X}", {X: !Ref Nope}]}', "P/Fn::Sub/1/X/Ref", "Nope is neither a"),
        ("{P: !If [Nope, 1, 2]}", "P/Fn::If/0", "Nope is not a condition"),
        ("{P: !If [IsBig, 1, !Ref Nope]}", "P/Fn::If/2/Ref", "Nope is neither a parameter"),
        ("{P: !FindInMap [Nope, a, b]}", "P/Fn::FindInMap/0", "Nope is not a mapping"),
        ("{P: !FindInMap [Sizes, !Ref Nope, Cpu]}", "P/Fn::FindInMap/1/Ref", "Nope is neither"),
    ],
)
def test_references_must_have_a_target(properties: str, at: str, detail: str) -> None:
    [(pointer, said)] = refused(with_properties(properties)).items()

    assert pointer == f"#/Resources/More/Properties/{at}"
    assert said.startswith(detail)


@pytest.mark.parametrize(
    "text,pointer",
    [
        (f"{NAMES}  A: {{Type: T, DependsOn: Nope}}", "#/Resources/A/DependsOn"),
        (f"{NAMES}  A: {{Type: T, DependsOn: [Jobs, Nope]}}", "#/Resources/A/DependsOn/1"),
        (f"{NAMES}  A: {{Type: T, DependsOn: Size}}", "#/Resources/A/DependsOn"),
        (f"{NAMES}  A: {{Type: T, Condition: Nope}}", "#/Resources/A/Condition"),
        (
            f"{NAMES}  A: {{Type: T, UpdatePolicy: {{P: !Ref Nope}}}}",
            "#/Resources/A/UpdatePolicy/P/Ref",
        ),
        (f"{NAMES}Outputs: {{A: {{Value: !Ref Nope}}}}", "#/Outputs/A/Value/Ref"),
        (f"{NAMES}Outputs: {{A: {{Value: 1, Condition: Nope}}}}", "#/Outputs/A/Condition"),
        (f"{NAMES}Outputs: {{A: {{Value: 1}}, B: {{Value: !Ref A}}}}", "#/Outputs/B/Value/Ref"),
        (
            f"{NAMES}Outputs: {{A: {{Value: 1, Export: {{Name: !Sub '${{Nope}}'}}}}}}",
            "#/Outputs/A/Export/Name/Fn::Sub",
        ),
        (
            f"Conditions: {{A: !Not [!Condition Nope]}}\n{QUEUE}",
            "#/Conditions/A/Fn::Not/0/Condition",
        ),
        (f"Conditions: {{A: !Equals [!Ref Nope, 1]}}\n{QUEUE}", "#/Conditions/A/Fn::Equals/0/Ref"),
        # CloudFormation knows conditions before it makes anything.
        (f"Conditions: {{A: !Equals [!Ref Jobs, 1]}}\n{QUEUE}", "#/Conditions/A/Fn::Equals/0/Ref"),
        (f"{SAM_TOO}Outputs: {{A: {{Value: !Ref Nope}}}}", "#/Outputs/A/Value/Ref"),
        (f"{SAM_TOO}Outputs: {{A: {{Value: !GetAtt Nope.Arn}}}}", "#/Outputs/A/Value/Fn::GetAtt"),
        (f"{SAM_TOO}Outputs: {{A: {{Value: 1, Condition: Jobs}}}}", "#/Outputs/A/Condition"),
    ],
)
def test_references_in_every_section_are_checked(text: str, pointer: str) -> None:
    assert list(refused(text)) == [pointer]


@pytest.mark.parametrize(
    "properties",
    [
        "{P: !Ref Size, Q: !Ref Jobs, R: !GetAtt Jobs.Arn, S: {Fn::GetAtt: Jobs.Arn}}",
        '{P: !Sub "${Size} ${Jobs} ${Jobs.Arn} ${AWS::Region} ${!Nope} $${Size} ${} ${a b}"}',
        '{P: !Sub ["${X} ${Y.Z}", {X: 1, Y.Z: 2}], Q: {Fn::Sub: ["${Nope}"]}}',
        "{P: !If [IsBig, !Ref AWS::NoValue, !Ref AWS::NotificationARNs]}",
        "{P: !FindInMap [Sizes, !Ref Size, Cpu], Q: !FindInMap [!Ref Size, a, b]}",
        # The condition of a policy's statement is none of CloudFormation's.
        "{PolicyDocument: {Statement: [{Condition: {StringEquals: {a: b}}}, {Condition: Nope}]}}",
        "{P: ['${Nope}', {Ref: Nope, And: more}, {Ref: [Nope]}, {Fn::GetAtt: []}, {Fn::If: Nope}]}",
    ],
)
def test_references_to_existing_names_are_accepted(properties: str) -> None:
    assert read(with_properties(properties)).types["More"]


@pytest.mark.parametrize(
    "text",
    [
        f"{NAMES}  A: {{Type: T, DependsOn: Jobs, Condition: IsBig, Metadata: {{M: !Ref Nope}}}}",
        f"{NAMES}  A: {{Type: T, DependsOn: [Jobs], DeletionPolicy: Retain}}",
        f"{NAMES}Outputs: {{A: {{Condition: IsBig, Value: !Ref Jobs}}}}",
        f"Conditions: {{A: !Equals [1, 1], B_&: !Or [{{Condition: A}}, !Condition A]}}\n{QUEUE}",
        f"Rules: {{R: {{Assertions: [{{Assert: !Ref Nope}}]}}}}\n{QUEUE}",
        f"Rules: {{R: {{Assertions: [{{Assert: !Contains [[a], !Ref Nope]}}]}}}}\n{QUEUE}",
        f"Hooks: {{}}\nMetadata: {{}}\nDescription: x\n{QUEUE}",
        f"{SAM_TOO}Globals: {{Function: {{Role: !Ref JobsRole}}}}",
        f"{SAM_TOO}Outputs: {{A: {{Value: !Ref JobsRole}}, B: {{Value: !Ref Jobs.Version}}}}",
        f"{SAM_TOO}Outputs: {{A: {{Value: !GetAtt Jobs.Alias.Arn}}}}",
        f"{SAM_TOO}Outputs: {{A: {{Value: !Sub '${{ServerlessHttpApi}} ${{JobsUrl.Url}}'}}}}",
        f"{SAM_TOO}Outputs: {{A: {{Value: !GetAtt [Jobs.Version, Version]}}}}",
        f"{SAM_TOO}  A: {{Type: T, DependsOn: [ServerlessRestApi, CodeDeployServiceRole]}}",
        f"{SAM_TOO}  A: {{Type: T, P: {{DeadLetterConfig: {{QueueLogicalId: Dead}}}}}}\n"
        "Outputs: {A: {Value: !GetAtt Dead.Arn}}",
        # A module's resources are called after it, too.
        "Resources: {Mine: {Type: My::Own::Queue::MODULE}}\nOutputs: {A: {Value: !Ref MineJobs}}",
    ],
)
def test_templates_that_cloudformation_takes_are_accepted(text: str) -> None:
    assert read(text).types


def test_references_into_a_malformed_section_are_not_reported() -> None:
    text = f"Parameters: x\n{QUEUE}\nOutputs: {{A: {{Value: !Ref Size}}}}"

    assert refused(text) == {"#/Parameters": "must be a mapping"}


@pytest.mark.parametrize("section", ["Foo", "resources", "a/b", "Output"])
def test_an_unknown_section_is_refused(section: str) -> None:
    pointer = f"#/{section.replace('/', '~1')}"

    assert refused(f"{section}: {{}}\n{QUEUE}") == {
        pointer: "is not a section of a CloudFormation template"
    }


@pytest.mark.parametrize("written", ["2010-09-10", "'2010'", "", "[a]"])
def test_only_the_known_format_version_is_accepted(written: str) -> None:
    text = f"AWSTemplateFormatVersion: {written}\n{QUEUE}"

    assert refused(text) == {"#/AWSTemplateFormatVersion": "must be 2010-09-09"}


@pytest.mark.parametrize(
    "resources,at,way",
    [
        ("{A: {Type: T, DependsOn: A}}", "A", "A → A"),
        ("{A: {Type: T, Properties: {P: !Ref A}}}", "A", "A → A"),
        (
            "{Z: {Type: T, DependsOn: A}, A: {Type: T, Properties: {P: !GetAtt B.Arn}},"
            " B: {Type: T, Properties: {P: [!Sub '${C}']}}, C: {Type: T, DependsOn: [D, A]},"
            " D: {Type: T}}",
            "A",
            "A → B → C → A",
        ),
    ],
)
def test_a_resource_must_not_depend_on_itself(resources: str, at: str, way: str) -> None:
    assert refused(f"Resources: {resources}") == {f"#/Resources/{at}": f"depends on itself: {way}"}


@pytest.mark.parametrize(
    "text",
    [
        "Resources: {A: {Type: T, DependsOn: [B, C]}, B: {Type: T, DependsOn: C}, C: {Type: T}}",
        f"{NAMES}  A: {{Type: T, P: 1, Properties: {{P: !If [IsBig, !Ref B, 1]}}}}\n"
        "  B: {Type: T, Properties: {P: !If [IsBig, 1, !Ref A]}}",
        f"{NAMES}  A: {{Type: T, Condition: IsBig, DependsOn: B}}\n  B: {{Type: T, DependsOn: A}}",
        "Transform: AWS::Serverless-2016-10-31\nResources: {F: {Type: AWS::Serverless::Function,"
        " Properties: {P: !Ref G}}, G: {Type: T, Properties: {P: !GetAtt F.Arn}}}",
    ],
)
def test_a_possible_cycle_that_is_none_is_accepted(text: str) -> None:
    assert read(text).types


def test_cycles_of_plain_resources_in_a_sam_template_are_refused() -> None:
    text = (
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources: {A: {Type: T, DependsOn: B}, B: {Type: T, Properties: {P: !Ref A}}}"
    )

    assert refused(text) == {"#/Resources/A": "depends on itself: A → B → A"}


def test_references_in_globals_are_checked() -> None:
    globals_ = "Globals: {Function: {Environment: {Variables: {A: !Ref Nope, B: !Ref Jobs}}}}"
    text = f"Transform: AWS::Serverless-2016-10-31\n{globals_}\n{QUEUE}"

    pointer = "#/Globals/Function/Environment/Variables/A/Ref"
    assert refused(text) == {pointer: "Nope is neither a parameter nor a resource"}


def test_a_long_cycle_is_reported_in_short() -> None:
    names = [f"R{n}" for n in range(5000)]
    waits = zip(names, names[1:] + names[:1], strict=True)
    text = json.dumps({"Resources": {a: {"Type": "T", "DependsOn": b} for a, b in waits}})

    [said] = refused(text, is_json=True).values()

    assert said == "depends on itself: R0 → R1 → R2 → R3 → R4 → R5 → R6 → R7 → R8 → R9 → … → R0"


@pytest.mark.parametrize(
    "value",
    [
        [{"Ref": f"No{n}"} for n in range(60_000)],
        ["${A" * 300_000],
        {"Fn::Sub": "${A" * 300_000},
        {"Fn::Sub": "${" * 450_000},
        {"Fn::Sub": "${" + " " * 900_000},
        {"Ref": "A" * 900_000},
        [{"Ref": f"{n}" * 50} for n in range(15_000)],
    ],
    ids=["refs", "text", "variables", "beginnings", "blanks", "a long name", "long names"],
)
def test_the_check_of_references_is_fast_for_any_template(value: Any) -> None:
    resources = {f"R{n}": {"Type": "T"} for n in range(3)} | {
        "A": {"Type": "T", "Properties": {"P": value}}
    }
    sam = {"Transform": template_parser.SAM, "Resources": resources}
    began = time.process_time()

    for tree in ({"Resources": resources}, sam):
        try:
            read(json.dumps(tree), is_json=True)
        except Invalid as error:
            assert len(error.fields) <= 20
            assert all(len(each.detail) < 400 for each in error.fields)

    assert time.process_time() - began < 10


SECRET = f"Parameters: {{Password: {{Type: String, NoEcho: true}}}}\n{QUEUE}"


@pytest.mark.parametrize(
    "output,part",
    [
        ("{Value: !Ref Password}", "Value"),
        ("{Value: !Sub 'a ${Password}'}", "Value"),
        ("{Value: !Sub '${ Password }'}", "Value"),
        ("{Value: !Sub ['${X}', {X: !Ref Password}]}", "Value"),
        ("{Value: !Join ['', [a, !If [IsBig, b, !Ref Password]]]}", "Value"),
        ("{Value: {Fn::Base64: !Select [0, [!Ref Password, !Ref Password]]}}", "Value"),
        ("{Value: 1, Export: {Name: !Ref Password}}", "Export"),
    ],
)
def test_an_output_that_shows_a_secret_is_refused(output: str, part: str) -> None:
    text = f"{SECRET}\nConditions: {{IsBig: !Equals [1, 1]}}\nOutputs: {{Url: {output}}}"

    assert refused(text) == {f"#/Outputs/Url/{part}": "would reveal the secret Password"}


@pytest.mark.parametrize(
    "output",
    [
        "{Value: !GetAtt Jobs.Arn, Description: the Password}",
        "{Value: !Sub ['${Password}', {Password: x}]}",
        "{Value: !Sub '${!Password}'}",
    ],
)
def test_outputs_without_secrets_are_accepted(output: str) -> None:
    assert read(f"{SECRET}\nOutputs: {{Url: {output}}}").outputs == ["Url"]


def test_a_secret_may_be_used_in_resources() -> None:
    text = SECRET.replace("Queue}", "Queue, Properties: {P: !Ref Password}}")

    assert read(text).parameters[0].no_echo


def test_the_number_of_secrets_is_limited_to_one_call_of_the_parameter_store() -> None:
    def with_secrets(count: int) -> str:
        return f"{QUEUE}\nParameters:" + "".join(
            f"\n  P{n}: {{Type: String, NoEcho: true}}" for n in range(count)
        )

    assert len(read(with_secrets(20)).parameters) == 20
    assert refused(with_secrets(21)) == {"#/Parameters": "must be at most 20 with NoEcho"}


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
def test_a_type_that_is_not_allowed_is_refused(allowed: list[str], refuses: list[str]) -> None:
    found = read(WHOLE)

    said = template_parser.types_not_allowed(found, allowed)

    assert set(refuses) <= {each.pointer for each in said}
    assert bool(refuses) == bool(said)
    assert all(each.detail.endswith("allows types by AllowedResourceTypes") for each in said)


DEFAULT = template()["Parameters"]["AllowedResourceTypes"]["Default"].split(",")


def with_events(events: str, kind: str = "Function") -> ParsedTemplate:
    return read(
        f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  Mine: {{Type: AWS::Serverless::{kind}, Properties: {{Events: {events}}}}}
  Api: {{Type: AWS::ApiGatewayV2::Api}}
"""
    )


def others(found: ParsedTemplate, allowed: list[str]) -> dict[str, str]:
    """Pointer -> what is not allowed there."""
    said = template_parser.types_not_allowed(found, allowed)
    return {each.pointer: each.detail for each in said}


def test_the_template_of_the_demo_is_allowed_by_default() -> None:
    found = read((ROOT / "examples/hello-web/template.yaml").read_bytes())

    assert others(found, DEFAULT) == {}


@pytest.mark.parametrize(
    "events,allowed",
    [
        ("{E: {Type: SQS, Properties: {Queue: x}}}", DEFAULT),
        ("{E: {Type: HttpApi}}", DEFAULT),
        ("{E: {Type: SNS}, F: {Type: S3}, G: {Type: AlexaSkill}, H: {Type: Cognito}}", DEFAULT),
        (
            "{E: {Type: Schedule}}",
            ["AWS::Serverless::*", "AWS::Events::Rule", "AWS::ApiGatewayV2::*"],
        ),
        ("{E: {Type: HttpApi}}", ["AWS::Serverless::Function", "AWS::ApiGatewayV2::*"]),
        ("{E: {Type: Api}}", ["AWS::Serverless::Function", "AWS::ApiGateway*"]),
        ("{E: {Type: Api}}", ["AWS::Serverless::*", "AWS::ApiGatewayV2::Api"]),
        # An API of the template is allowed or refused as what it is.
        (
            "{E: {Type: HttpApi, Properties: {ApiId: !Ref Api}}}",
            ["AWS::Serverless::Function", "AWS::ApiGatewayV2::Api"],
        ),
        ("{}", DEFAULT),
        ("", DEFAULT),
    ],
)
def test_events_may_create_allowed_types(events: str, allowed: list[str]) -> None:
    assert others(with_events(events), allowed) == {}


@pytest.mark.parametrize(
    "event,makes",
    [
        ("{Type: Schedule}", "AWS::Events::Rule"),
        ("{Type: ScheduleV2}", "AWS::Scheduler::Schedule"),
        ("{Type: EventBridgeRule}", "AWS::Events::Rule"),
        ("{Type: CloudWatchLogs}", "AWS::Logs::SubscriptionFilter"),
        ("{Type: IoTRule}", "AWS::IoT::TopicRule"),
        ("{Type: Api}", "AWS::Serverless::Api"),
        ("{Type: Api, Properties: {RestApiId: !Ref ServerlessRestApi}}", "AWS::Serverless::Api"),
        ("{Type: Api, Properties: {RestApiId: elsewhere}}", "AWS::Serverless::Api"),
        ("{Type: Schedule, Properties: {DeadLetterConfig: {Type: SQS}}}", "AWS::Events::Rule"),
    ],
)
def test_events_must_not_create_other_types(event: str, makes: str) -> None:
    for kind in ("Function", "StateMachine"):
        found = with_events(f"{{E: {event}}}", kind)

        allowed = [each for each in DEFAULT if each != makes]
        [said] = others(found, [*allowed, "AWS::Serverless::StateMachine"]).items()

        assert said[0] == "#/Resources/Mine/Properties/Events/E/Type"
        assert f" makes {makes}, which is not allowed here: " in said[1]
        assert (" Or " in said[1]) is (makes in INSTEAD)


@pytest.mark.parametrize(
    "event,makes",
    [
        (
            "{Type: SNS, Properties: {SqsSubscription: true}}",
            "AWS::Lambda::EventSourceMapping, AWS::SQS::QueuePolicy, AWS::SQS::Queue",
        ),
        (
            "{Type: SNS, Properties: {SqsSubscription: {QueueArn: q, QueueUrl: u}}}",
            "AWS::Lambda::EventSourceMapping, AWS::SQS::QueuePolicy",
        ),
        ("{Type: SNS, Properties: {SqsSubscription: false}}", None),
        (
            "{Type: EventBridgeRule, Properties: {DeadLetterConfig: {Type: SQS}}}",
            "AWS::SQS::Queue",
        ),
        ("{Type: EventBridgeRule, Properties: {DeadLetterConfig: {Arn: q}}}", None),
    ],
)
def test_queues_that_events_create_must_be_allowed(event: str, makes: str | None) -> None:
    allowed = ["AWS::Serverless::Function", "AWS::ApiGatewayV2::Api", "AWS::SNS::Subscription"]
    allowed += ["AWS::Events::Rule"]

    said = list(others(with_events(f"{{E: {event}}}"), allowed).values())

    kind = event[7:].split(",")[0]
    whole = f"{kind} makes {makes}, which is not allowed here: "
    assert [each.startswith(whole) for each in said] == ([True] if makes else [])


@pytest.mark.parametrize("kind", sam_events.EVENTS)
def test_every_event_type_of_sam_is_known(kind: str) -> None:
    assert others(with_events(f"{{E: {{Type: {kind}}}}}"), ["*"]) == {}


@pytest.mark.parametrize(
    "events,pointer,detail",
    [
        ("{E: {Type: Pigeon}}", "/E/Type", "Pigeon is not an event type of SAM"),
        ("{E: {Type: !Ref Size}}", "/E/Type", "is required"),
        ("{E: {Properties: {}}}", "/E/Type", "is required"),
        ("{E: x}", "/E/Type", "is required"),
        ("[a]", "", "must be a mapping"),
    ],
)
def test_a_malformed_event_is_refused(events: str, pointer: str, detail: str) -> None:
    with pytest.raises(Invalid) as error:
        with_events(events)

    told = {each.pointer: each.detail for each in error.value.fields}
    assert told[f"#/Resources/Mine/Properties/Events{pointer}"] == detail


def test_the_table_of_events_matches_sam() -> None:
    of = (SamFunction.event_resolver, SamStateMachine.event_resolver)

    # One of its classes is only what others are made of.
    assert {k for each in of for k in each.resource_types if k} == set(sam_events.EVENTS)


def test_events_are_read_only_in_sam_templates() -> None:
    text = "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Events: {E: x}}}}"

    # It is refused for its missing transform alone.
    assert list(refused(text)) == ["#/Transform"]
