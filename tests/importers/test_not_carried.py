"""Losses are reported with their line, and never become something else."""

from __future__ import annotations

import pytest

from slipway.domain import template_parser
from slipway.domain.template_parser import ParsedTemplate
from slipway.importers.proton import importing
from slipway.importers.proton.importing import Imported
from slipway.importers.proton.report import InvalidBundle
from tests.support.importers.bundles import bundle

SCHEMA = """
a: {type: string, enum: [x, y]}
count: {type: number, default: 1}
flag: {type: boolean, default: false}
some: {type: string, minLength: 3, pattern: "^[a-z]+$"}
opt: {type: number, minimum: 3}
many: {type: array, items: {type: string}}
free: {type: string, default: "q"}
"""
HEAD = "Resources:\n  One:\n    Type: AWS::SQS::Queue\n    Properties:\n"
FILE = "infrastructure/cloudformation.yaml"


def imported(template: str, kind: str = "environment") -> Imported:
    with bundle(template, SCHEMA, kind) as folder:
        return importing.read(folder)


def read(found: Imported) -> ParsedTemplate:
    return template_parser.read(found.body.encode(), is_json=False)


def lost(found: Imported) -> list[str]:
    return [str(each).removeprefix(f"{FILE}:") for each in found.report.losses]


def required(found: Imported) -> set[str]:
    """The inputs without which no environment can be made."""
    return {each.name for each in read(found).parameters if each.default is None}


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("environment.inputs.a | upper", "EnvironmentInputsAUpper"),
        ("(environment.inputs.a ~ '-' ~ environment.name) | truncate(9)", None),
        ("environment.inputs.nothing", "EnvironmentInputsNothing"),
        ("environment.outputs.Of_itself", "EnvironmentOutputsOfItself"),
        ("service.branch_name", "ServiceBranchName"),
        ("environment.inputs.many | length", "EnvironmentInputsManyLength"),
        ("environment.inputs.count * 2", "EnvironmentInputsCount2"),
        ("now()", "Now"),
        ("[environment.inputs.a] | join", None),
        ("environment.inputs.a[0]", "EnvironmentInputsA0"),
        ("environment.inputs.free.__class__", "EnvironmentInputsFreeClass"),
    ],
)
def test_values_that_cloudformation_cannot_compute_become_parameters(
    expression: str, name: str | None
) -> None:
    found = imported(f"{HEAD}      P: '{{{{ {expression} }}}}'\n")

    [said] = lost(found)
    assert said.startswith("5: {{ ")
    assert "cannot be computed: the caller must supply the input" in said
    assert said.rpartition(" ")[2] in required(found)
    assert name is None or {name} == required(found)
    assert found.report.gaps == []


@pytest.mark.parametrize(
    "condition",
    [
        "environment.inputs.count > 3",
        "environment.inputs.count == '1'",
        "environment.inputs.a | length",
        "environment.inputs.a is string",
        "environment.inputs.many",
        "service_instance.components.default is defined",
    ],
)
def test_a_condition_that_cannot_be_evaluated_becomes_a_parameter(condition: str) -> None:
    found = imported(f"{HEAD}      {{% if {condition} %}}\n      P: 1\n      {{% endif %}}\n")

    [said] = lost(found)
    assert said.startswith(f"5: {{{{ {condition} }}}} cannot be computed")
    [parameter] = read(found).parameters
    assert (parameter.allowed_values, parameter.default) == (["true", "false"], None)
    assert "P: !If" in found.body


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            f"{HEAD}{{% for x in environment.inputs.many %}}\n      {{{{ x }}}}: 1\n{{% endfor %}}",
            "5: {% for … in environment.inputs.many %} does more than repeat the values",
        ),
        (
            f"{HEAD}      L:\n{{% for x in environment.inputs.many %}}"
            "      - 'arn:{{ x }}'\n{% endfor %}",
            "6: {% for … in environment.inputs.many %} does more than repeat the values",
        ),
        (
            f"{HEAD}      L:\n{{% for x in environment.inputs.many %}}      - a\n{{% endfor %}}",
            "6: {% for … in environment.inputs.many %} does more than repeat the values",
        ),
        (
            f"{HEAD}      L:\n      - a\n{{% for x in environment.inputs.many %}}"
            "      - {{ x }}\n{% endfor %}",
            "7: the values of many cannot be combined with other list items",
        ),
        (
            f"{HEAD}      P: 'all of {{{{ environment.inputs.many }}}}'\n",
            "5: the list many is used inside text",
        ),
        (
            f"{HEAD}{{% for x in service_instances %}}      P: 1\n{{% endfor %}}",
            "5: {% for … in service_instances %} is left out",
        ),
        (f"{HEAD}      {{% include 'x' %}}\n      P: 1\n", "5: {% include %} is left out"),
        (
            f"{HEAD}      {{% macro m() %}}x{{% endmacro %}}\n      P: 1\n",
            "5: {% macro %} is left out",
        ),
        (
            f"{HEAD}      {{{{ environment.inputs.a | upper }}}}\n      P: 1\n",
            "5: {{ environment.inputs.a | upper }} may render whole lines and is left out",
        ),
        (
            f"{HEAD}      P:\n        {{{{ service_instance.components.default.outputs\n"
            "          | proton_cfn_lambda_function_formatted_env_vars }}\n",
            "6: {{ service_instance.components.default.outputs |"
            " proton_cfn_lambda_function_formatted_env_vars }} may render whole lines and is left"
            " out",
        ),
        (
            "Resources:\n  One:\n    Type: 'AWS::{{ environment.inputs.a }}'\n",
            "3: One: Type cannot contain inputs: AWS::<a>",
        ),
        (
            "Resources:\n  One:\n    DeletionPolicy: '{{ environment.name }}'\n    Type: AWS::X\n",
            "3: One: DeletionPolicy cannot contain inputs: <EnvironmentName>",
        ),
        (
            "Resources:\n  One:\n    {% if environment.inputs.flag %}\n    Type: AWS::A\n"
            "    {% else %}\n    Type: AWS::B\n    {% endif %}\n",
            "4: One: Type depends on a condition",
        ),
        (
            "Resources:\n  A{{ environment.name }}: {Type: AWS::X}\n  Two: {Type: AWS::X}\n",
            "2: a name cannot contain inputs; A<EnvironmentName> is left out",
        ),
        (
            f"{HEAD}      P: !Ref '{{{{ environment.inputs.a }}}}'",
            "5: Ref cannot contain inputs: <a>",
        ),
        (
            "Conditions:\n  C: !Equals ['{{ environment.inputs.a }}-1', x]\n"
            f"{HEAD}      P: !If [C, 1, 2]",
            "2: a condition cannot contain inputs: <a>-1",
        ),
        (
            "Mappings: {M: {one: {k: '{{ environment.inputs.a }}'}}}\n"
            f"{HEAD}      P: !FindInMap [M, !Ref 'AWS::Region', k]\n",
            "6: Fn::FindInMap cannot look up M, because its values are inputs",
        ),
        (
            f"Mappings: {{M: {{one: {{k: v}}}}}}\n{HEAD}"
            "      P: !FindInMap [M, 'x{{ environment.inputs.a }}', k]\n",
            "6: Fn::FindInMap accepts no key that is computed from text and inputs",
        ),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  One:\n"
            "    Type: AWS::Serverless::SimpleTable\n    Properties:\n"
            "      {% if environment.inputs.flag %}\n"
            "      PrimaryKey: {Name: id, Type: String}\n      {% endif %}\n",
            "7: One: PrimaryKey depends on a condition, which SAM does not evaluate",
        ),
        (
            "Transform: AWS::Serverless-2016-10-31\n"
            "Globals:\n  Function:\n"
            "    {% if environment.inputs.flag %}\n    AutoPublishAlias: live\n    {% endif %}\n"
            f"{HEAD}      P: 1\n",
            "5: Globals: AutoPublishAlias depends on a condition, which SAM does not evaluate",
        ),
        (
            "Metadata:\n  {% if environment.inputs.flag %}\n  A: 1\n  {% else %}\n  A: 2\n"
            f"  {{% endif %}}\n{HEAD}      P: 1\n",
            "1: Metadata depends on a condition",
        ),
    ],
)
def test_a_template_with_a_gap_makes_no_environment_until_it_is_completed(
    template: str, said: str
) -> None:
    found = imported(template)

    assert lost(found) == [said]
    assert len(found.report.gaps) == 1
    assert "\n  NotCarriedOver:\n" in found.body
    assert found.body.startswith(f"# Not carried over from AWS Proton:\n#   {FILE}:{said}\n")


def test_references_to_a_lost_resource_are_reported() -> None:
    found = imported(
        "Resources:\n  A{{ environment.name }}: {Type: AWS::X}\n"
        "  Two: {Type: AWS::X, Properties: {P: !GetAtt Another.Arn}}\n"
    )

    assert lost(found) == ["2: a name cannot contain inputs; A<EnvironmentName> is left out"]
    said = "#/Resources/Two/Properties/P/Fn::GetAtt Another is not a resource"
    assert f"{FILE}: the platform refuses the template until this is fixed: {said}" in map(
        str, found.report.notes
    )


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            f"Description: 'For {{{{ environment.name }}}}'\n{HEAD}      P: 1\n",
            "1: Description cannot contain inputs: For <EnvironmentName>",
        ),
        (
            f"{HEAD}      P: {{{{ environment.inputs.free | proton_cfn_sanitize }}}}\n",
            "5: {{ environment.inputs.free | proton_cfn_sanitize }}: its characters are no longer"
            " checked",
        ),
        (
            f"{HEAD}      P: 1\n    DependsOn:\n      - Two\n"
            "      {% if environment.inputs.flag %}\n      - Three\n      {% endif %}\n"
            "  Two: {Type: AWS::X}\n  Three: {Type: AWS::X}\n",
            "6: One: DependsOn depends on a condition; only the common entries are kept",
        ),
        (
            f"Parameters: {{Version: {{Type: String}}}}\n{HEAD}      P: !Ref Version\n",
            "1: the template's own parameter Version is supplied by Slipway",
        ),
    ],
)
def test_losses_without_a_gap_are_reported(template: str, said: str) -> None:
    found = imported(template)

    assert lost(found) == [said]
    assert found.report.gaps == []
    assert "NotCarriedOver" not in required(found)


def test_an_input_that_the_template_tests_may_be_empty() -> None:
    found = imported(
        f"{HEAD}      {{% if environment.inputs.some is defined %}}\n"
        "      P: '{{ environment.inputs.some }}'\n      {% endif %}\n"
        "      Q: {{ environment.inputs.opt | default(7) }}\n"
    )

    some, opt = read(found).parameters
    assert (some.default, some.allowed_pattern) == ("", r"((?=[\s\S]{3,})^[a-z]+$)?")
    assert (opt.type, opt.default) == ("String", "")
    assert lost(found) == [
        "schema/schema.yaml:13: opt is optional, so its minimum and maximum are not checked"
    ]


def test_the_place_of_code_cannot_depend_on_inputs_in_sam() -> None:
    """Its transform would take the one and drop the other, whatever the condition says."""
    found = imported(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  One:\n"
        "    Type: AWS::Serverless::Function\n    Properties:\n"
        "      {% if environment.inputs.some is defined %}\n"
        "      Handler: app.run\n      CodeUri: '{{ environment.inputs.some }}'\n"
        "      {% else %}\n      Handler: index.run\n      InlineCode: code\n      {% endif %}\n"
    )

    assert lost(found) == [
        "8: One: CodeUri depends on a condition, which SAM does not evaluate",
        "11: One: InlineCode depends on a condition, which SAM does not evaluate",
    ]
    assert "Handler: !If" in found.body
    assert "InlineCode: code" in found.body
    assert "CodeUri:" not in found.body


def test_a_variable_of_a_loop_makes_one_input_for_each_turn() -> None:
    found = imported(
        f"{HEAD}{{% for n in range(2) %}}      P{{{{ n }}}}:"
        " {{ environment.inputs.a | truncate(n) }}\n{% endfor %}"
    )

    assert len(required(found)) == 2
    assert all(f"where n = {n} }}}} cannot be computed" in lost(found)[n] for n in range(2))


@pytest.mark.parametrize(
    "loop",
    [
        "for n in [{'k': 'a'}, {'k': 'b'}] %}      P{{ loop.index }}: {{ n.k | truncate(1) }}",
        "for n in ['a', 'b'] %}      P{{ loop.index }}: {{ loop.cycle('a', 'b') }}",
        "for n in ['a' ~ 'x', 'b'] %}      P{{ loop.index }}: {{ n | truncate(1) }}",
        "for n in [1, 2] %}{% set m = [n] %}      P{{ n }}: {{ m | join }}",
    ],
)
def test_values_that_differ_between_turns_become_separate_inputs(loop: str) -> None:
    found = imported(f"{HEAD}{{% {loop}\n{{% endfor %}}")

    assert len(required(found)) == len(lost(found)) == 2


def test_expressions_in_comments_are_not_losses() -> None:
    found = imported(f"{HEAD}      P: 1 # {{{{ environment.inputs.a | upper }}}}\n")

    assert lost(found) == []
    assert required(found) == set()


def test_reserved_and_taken_names_of_parameters_are_avoided() -> None:
    with bundle(
        "Resources:\n  Size: {Type: AWS::X, Properties: {P: '{{ environment.inputs.version }}',"
        " Q: '{{ environment.inputs.size }}', R: '{{ environment.inputs.Size_ }}'}}\n",
        "version: {type: string}\nsize: {type: string}\nSize_: {type: string}\n",
    ) as folder:
        found = importing.read(folder)

    assert [each.name for each in read(found).parameters] == [
        "VersionInput",
        "SizeInput",
        "SizeInput2",
    ]


def test_a_pipeline_is_no_loss() -> None:
    with bundle(f"{HEAD}      P: 1\n", SCHEMA, "service") as folder:
        (folder / "pipeline_infrastructure").mkdir()
        (folder / "pipeline_infrastructure/manifest.yaml").write_text("x")
        found = importing.read(folder)

    assert lost(found) == []
    assert "the pipeline is left out" in str(found.report.notes[0])


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("a: {type: integer}", "a: a number with a fraction is accepted too"),
        ("a: {type: number, multipleOf: 2}", "a: multipleOf is no longer checked"),
        ("a: {type: string, format: email}", "a: the format email is no longer checked"),
        (
            "a: {type: array, items: {type: string, minLength: 2}}",
            "a: minLength of its items is no longer checked",
        ),
        (
            "a: {type: array, items: {type: object}}",
            "a: a list of object cannot be a parameter",
        ),
        (
            "a: {type: array, items: {type: string}, default: ['1,2']}",
            "a: its default cannot be a parameter's, so the caller must supply a value",
        ),
        (
            "a: {oneOf: [{type: string}]}",
            "a: CloudFormation has no type None, so any text is accepted",
        ),
    ],
)
def test_checks_that_a_parameter_cannot_make_are_reported(properties: str, said: str) -> None:
    with bundle(f"{HEAD}      P: {{{{ environment.inputs.a }}}}\n", properties) as folder:
        found = importing.read(folder)

    assert f"schema/schema.yaml:9: {said}" in lost(found)


def test_a_schema_is_carried_over() -> None:
    with bundle(
        HEAD + "".join(f"      P{n}: '{{{{ environment.inputs.{n} }}}}'\n" for n in "abcdefg"),
        "a: {type: string, pattern: 'b|c', minLength: 1, maxLength: 9, title: T}\n"
        "b: {type: string, enum: ['1', yes], default: '1', description: D}\n"
        "c: {type: number, minimum: 0.5, maximum: 9, default: 1.50}\n"
        "d: {type: boolean, default: True}\n"
        "e: {type: array, items: {type: string, enum: [p, q]}, default: [p, q]}\n"
        "f: {type: string, format: password}\n"
        "g: {type: string, pattern: '^a+$', default: aa}\n",
    ) as folder:
        found = importing.read(folder)

    a, b, c, d, e, f, g = read(found).parameters
    assert (a.allowed_pattern, a.min_length, a.max_length, a.description) == (
        r"[\s\S]*(?:b|c)[\s\S]*", 1, 9, "T",
    )  # fmt: skip
    assert (b.allowed_values, b.default, b.description) == (["1", "yes"], "1", "D")
    assert (c.type, c.min_value, c.max_value, c.default) == ("Number", "0.5", "9", "1.5")
    assert (d.allowed_values, d.default) == (["true", "false"], "true")
    assert (e.type, e.allowed_values, e.default) == ("CommaDelimitedList", ["p", "q"], "p,q")
    assert f.no_echo
    assert (g.allowed_pattern, g.default) == ("^a+$", "aa")
    assert lost(found) == []


def test_a_component_reads_its_environment_and_its_service_instance() -> None:
    with bundle(HEAD, SCHEMA) as folder:
        (folder / "schema/schema.yaml").unlink()
        (folder / "infrastructure").rename(folder / "component")
        (folder / "component/cloudformation.yaml").write_text(
            f"{HEAD}      P: '{{{{ environment.outputs.Vpc }}}}'\n"
            "      Q: '{{ service_instance.inputs.size }} {{ component.name }}'\n"
        )
        found = importing.read(folder / "component")

    assert found.kind == "component"
    assert required(found) == {"Vpc", "ServiceInstanceInputsSize", "ComponentName"}


def test_too_many_combinations_of_inputs_are_refused() -> None:
    flags = "\n".join(f"f{n}: {{type: boolean, default: false}}" for n in range(11))
    lines = "".join(
        f"      {{% if environment.inputs.f{n} %}}\n      P{n}: 1\n      {{% endif %}}\n"
        for n in range(11)
    )

    with bundle(HEAD + lines, flags) as folder, pytest.raises(InvalidBundle, match="combinations"):
        importing.read(folder)
