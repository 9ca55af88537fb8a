"""Dynamic references: what the stack shares may be read, and nothing else."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from slipway.domain import template_parser
from slipway.domain.allowances import Allowances
from slipway.domain.deployment import NewDeployment
from slipway.domain.environment_requests import NewEnvironment
from slipway.domain.inputs import checked
from slipway.domain.project import NewProject
from slipway.domain.template import Parameter
from slipway.errors import Invalid

TEMPLATE = """
Parameters:
  Name: {Type: String, Default: x}
Conditions:
  C: !Equals [!Ref Name, x]
Resources:
  Jobs: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: a, Value: VALUE}]}}
"""
AT = "#/Resources/Jobs/Properties/Tags/0/Value"


def faults(text: str) -> dict[str, str]:
    try:
        parsed = template_parser.read(text.encode(), is_json=False)
        template_parser.check_allowed(parsed, Allowances(["AWS::*"], stack="slipway"))
    except Invalid as refused:
        return {each.pointer: each.detail for each in refused.fields}
    return {}


def value(text: str) -> dict[str, str]:
    return faults(TEMPLATE.replace("VALUE", text))


@pytest.mark.parametrize(
    "reference",
    [
        "{{resolve:ssm:/slipway/shared/host}}",
        "{{resolve:ssm:/slipway/shared/db/main.host_1}}",
        "{{resolve:ssm:/slipway/shared/host:3}}",
        "{{resolve:secretsmanager:slipway/shared/db}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretString}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretString:password}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretString:password:AWSPREVIOUS}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretString:password::0123-ab}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretString:::}}",
        "postgres://{{resolve:ssm:/slipway/shared/host}}:{{resolve:ssm:/slipway/shared/port}}/",
    ],
)
def test_shared_values_can_be_read(reference: str) -> None:
    assert value(f"'{reference}'") == {}
    assert value(f"!Sub '{reference}/${{Name}}'") == {}
    assert value(f"!Join ['/', ['{reference}', !Ref Name]]") == {}


@pytest.mark.parametrize(
    "reference",
    [
        "{{resolve:ssm:/payroll}}",
        "{{resolve:ssm:slipway/shared/host}}",
        "{{resolve:ssm:/slipway/environments/x}}",
        "{{resolve:ssm:/slipway/sharedhost}}",
        "{{resolve:ssm:/slipway/shared/}}",
        "{{resolve:ssm-secure:/slipway/shared/host}}",
        "{{resolve:SSM:/slipway/shared/host}}",
        "{{ resolve:ssm:/slipway/shared/host}}",
        "{{resolve:ssm:/slipway/shared/host:latest}}",
        "{{resolve:ssm:/slipway/shared/host",
        "{{resolve:secretsmanager:payroll:SecretString:password}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretBinary}}",
        "{{resolve:secretsmanager:slipway/shared/db:SecretString:a:b:c:d}}",
        "{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:1:secret:slipway/shared/db}}",
        "{{resolve:other:slipway/shared/db}}",
        "{{resolve:ssm:/slipway/shared/host}}{{resolve:ssm:/payroll}}",
    ],
)
def test_any_other_reference_is_refused_with_its_place(reference: str) -> None:
    [(pointer, detail)] = value(f"'{reference}'").items()

    assert pointer == AT
    assert "{{resolve:ssm:/<stack>/shared/…}}" in detail
    default = TEMPLATE.replace("Default: x", f"Default: '{reference}'").replace("VALUE", "x")
    assert list(faults(default)) == ["#/Parameters/Name/Default"]


@pytest.mark.parametrize(
    "name", ["ssm:/other/shared/host", "secretsmanager:other/shared/db", "ssm:/slipway-2/shared/x"]
)
def test_what_another_stack_shares_is_refused(name: str) -> None:
    for text in (f"'{{{{resolve:{name}}}}}'", f"!Sub '{{{{resolve:{name}}}}}/${{Name}}'"):
        [(pointer, detail)] = value(text).items()
        assert pointer.startswith(AT)
        assert "another stack than slipway" in detail


@pytest.mark.parametrize(
    "composed",
    [
        "!Sub '{{resolve:ssm:/slipway/shared/${Name}}}'",
        "!Sub '{{resolve:ssm:/${AWS::StackName}/shared/x}}'",
        "!Sub '{{resolve:secretsmanager:slipway/shared/db:SecretString:${Name}}}'",
        "!Sub '{{${Name}}}'",
        "!Sub '{${Name}'",
        "!Sub '${Name}{resolve:ssm:/payroll}}'",
        "!Join ['', ['{{resolve:ssm:', /other/shared/x, '}}']]",
        "!Join ['', ['{{resolve:ssm:/slipway/shared/', !Ref Name, '}}']]",
        "!Join ['{', ['a', !Ref Name]]",
        "!Join ['{', !Ref Name]",
        "!Sub ['{{${A}}}', {A: 'resolve:ssm:/slipway/shared/x'}]",
        "!Sub ['${A}resolve:ssm:/payroll}}', {A: '{{'}]",
        "!Sub ['${A}{resolve:ssm:/payroll}}', {A: !Join ['', [a, '{']]}]",
        "!Join ['', [!If [C, '{{', z], 'resolve:ssm:/payroll}}']]",
        "!Join ['', ['{{', !If [C, 'resolve:ssm:/payroll', z], '}}']]",
        "!Join ['', [!If [C, !Sub '{{resolve:ssm:/x/${Name}}}', z]]]",
        "!Join ['', !Split ['|', '{|{resolve:ssm:/payroll}}']]",
        "!Join ['', !Split ['{x}', '{{x}{resolve:ssm:/payroll}}']]",
        "!Join ['', !Split ['{', !Sub '${Name}']]",
        "!Join ['', !Split ['{{x}', !Sub '${Name}']]",
        "!Join ['', !Split ['{${Name}}', a]]",
        "!Join ['', [!Select [0, ['{{', z]], 'resolve:ssm:/payroll}}']]",
    ],
)
def test_no_variable_and_no_join_is_a_part_of_a_reference(composed: str) -> None:
    assert value(composed), composed
    assert all(pointer.startswith(AT) for pointer in value(composed))


@pytest.mark.parametrize("what", ["secretsmanager:slipway/shared/db", "ssm:/slipway/shared/a"])
def test_shared_values_are_read_by_properties_of_resources_alone(what: str) -> None:
    reference = f"{{{{resolve:{what}}}}}"
    output = f"Outputs: {{O: {{Value: '{reference}'}}}}\n"
    mapping = f"Mappings: {{M: {{a: {{b: '{reference}'}}}}}}\n"
    plain = TEMPLATE.replace("VALUE", "x")

    assert list(faults(plain + output)) == ["#/Outputs/O/Value"]
    assert list(faults(plain + mapping)) == ["#/Mappings/M/a/b"]
    default = plain.replace("Default: x", f"Default: '{reference}'")
    assert list(faults(default)) == ["#/Parameters/Name/Default"]


@pytest.mark.parametrize("items", ["[a]", "!Ref Names"])
def test_a_loop_chooses_no_shared_value(items: str) -> None:
    text = """
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: "a,b"}}
Resources:
  Fn::ForEach::Queues:
    - Name
    - ITEMS
    - Queue${Name}:
        Type: AWS::SQS::Queue
        Properties: {Tags: [{Key: a, Value: !Sub VALUE}]}
""".replace("ITEMS", items)
    at = "#/Resources/Fn::ForEach::Queues/2/Queue${Name}/Properties/Tags/0/Value/Fn::Sub"

    chosen = faults(text.replace("VALUE", "'{{resolve:ssm:/slipway/shared/${Name}}}'"))

    assert list(chosen) == [at]
    assert faults(text.replace("VALUE", "'{{resolve:ssm:/slipway/shared/a}} ${Name}'")) == {}


@pytest.mark.parametrize("piece", ["{{", "{", "x{{re", "{{resolve:ssm:/payroll}}"])
def test_a_mapping_has_no_piece_of_a_reference(piece: str) -> None:
    text = TEMPLATE.replace("VALUE", "!Join ['', [!FindInMap [M, a, b], 'resolve:ssm:/payroll}}']]")

    assert "#/Mappings/M/a/b" in faults(f"{text}Mappings: {{M: {{a: {{b: '{piece}'}}}}}}\n")


@pytest.mark.parametrize(
    "composed",
    [
        "!Join ['', ['{\"a\": ', !Ref Name, '}']]",
        '!Sub \'{"a": {"b": "${Name}"}}\'',
        "!Join ['', [!If [C, '{\"a\": {}}', '{}'], !Ref Name]]",
        "!Sub 'Hello {{name}}, {${!x}} ${Name}'",
        "!Join ['', [!If [C, '{{resolve:ssm:/slipway/shared/a}}', b], !Ref Name]]",
        "!Join ['*', !Split ['{tier}', !Ref Name]]",
        "!Join ['*', !Split ['{tier}', !Join ['*', !Split ['{project_id}', !Ref Name]]]]",
    ],
)
def test_other_braces_are_fine(composed: str) -> None:
    assert value(composed) == {}


def test_a_default_reads_a_version_of_a_shared_parameter() -> None:
    reference = "{{resolve:ssm:/slipway/shared/a:3}}"

    assert faults(value_of_default(reference)) == {}
    assert "version" in str(faults(value_of_default(reference.replace(":3", ""))))


def value_of_default(reference: str) -> str:
    return TEMPLATE.replace("Default: x", f"Default: '{reference}'").replace("VALUE", "!Ref Name")


def test_the_key_of_a_tag_is_no_shared_value() -> None:
    text = TEMPLATE.replace("Key: a", "Key: '{{resolve:ssm:/slipway/shared/a}}'").replace(
        "VALUE", "x"
    )

    assert list(faults(text)) == ["#/Resources/Jobs/Properties/Tags/0/Key"]


@pytest.mark.parametrize(
    "given", ["{{resolve:ssm:/slipway/shared/a}}", "x{{", "x{", "{", "a{,{resolve:ssm:/payroll}}"]
)
def test_an_input_is_no_part_of_a_reference(given: str) -> None:
    for kind in ("String", "CommaDelimitedList"):
        if kind == "String" and "," in given:
            continue
        with pytest.raises(Invalid):
            checked([Parameter(name="A", type=kind)], {"A": given})
    assert checked([Parameter(name="A", type="String")], {"A": '{"a": {"b": 1}}'})
    assert checked([Parameter(name="A", type="String")], {"A": "a{,3}"})


def test_no_name_and_no_artifact_is_a_reference() -> None:
    reference = "{{resolve:ssm:/slipway/shared/a}}"
    for name in (reference, "x{"):
        with pytest.raises(ValidationError, match=re.escape("{{")):
            NewProject(name=name)
        with pytest.raises(ValidationError, match=re.escape("{{")):
            NewEnvironment(name=name, type="ephemeral")
    with pytest.raises(ValidationError, match=re.escape("{{")):
        NewDeployment(version="v1", artifact=f"s3://builds/{reference}")
