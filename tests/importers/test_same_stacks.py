"""An imported template makes the same stack as Proton, for all inputs."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.domain import template_parser, template_syntax
from slipway.importers.proton import importing, writing
from tests.support.importers.bundles import BUNDLES, bundle
from tests.support.importers.stacks import (
    Stack,
    proton,
    read,
    rendered,
    stack,
    transformed,
    unbound,
)
from tests.support.repository import ROOT

pytestmark = pytest.mark.no_cover


EVERY = ["network", "web-service", "worker", "bucket"]
NAMES: dict[str, dict[str, Any]] = {
    "service": {"name": "payments"},
    "environment": {"name": "shared", "outputs": {}},
    "service_instance": {"name": "pr-12", "components": {"default": {"outputs": {}}}},
}
OUTPUTS = [
    "PublicSubnet1", "PublicSubnet2", "PrivateSubnet1", "VPC", "SNSTopicArn", "SNSTopic", "Cluster",
]  # fmt: skip


def combinations(choices: dict[str, list[Any]]) -> list[dict[str, Any]]:
    every = itertools.product(*choices.values())
    return [dict(zip(choices, values, strict=True)) for values in every]


@pytest.mark.parametrize("name", EVERY)
def test_an_imported_bundle_is_a_valid_template(name: str) -> None:
    found = importing.read(BUNDLES / name)

    assert template_parser.read(found.body.encode(), is_json=False).types


def test_cfn_lint_finds_nothing_wrong(tmp_path: Path) -> None:
    for name in EVERY:
        (tmp_path / f"{name}.yaml").write_text(importing.read(BUNDLES / name).body)

    # In a process of its own: it changes what is global.
    lint = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W", "--", "*.yaml"]
    told = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True)

    assert (told.stdout, told.returncode) == ("", 0), told.stderr


@pytest.mark.parametrize(
    "inputs",
    combinations(
        {
            "vpc_cidr": ["10.1.0.0/16"],
            "subnet_cidr": ["10.1.2.0/24"],
            "nat_gateway": ["yes", "no"],
            "flow_logs": [True, False],
            "retention": [7, 30],
            "unused_input": ["x"],
        }
    ),
    ids=lambda each: "-".join(map(str, each.values())),
)
def test_an_environment_is_the_same_stack(inputs: dict[str, Any]) -> None:
    found = importing.read(BUNDLES / "network")
    values = {
        "VpcCidr": inputs["vpc_cidr"],
        "SubnetCidr": inputs["subnet_cidr"],
        "NatGatewayInput": inputs["nat_gateway"],
        "FlowLogsInput": str(inputs["flow_logs"]).lower(),
        "Retention": str(inputs["retention"]),
        "EnvironmentName": "staging",
    }
    scope = {"environment": {"name": "staging", "inputs": inputs}}

    made = stack(found.body, values)

    assert made == proton(BUNDLES / "network/infrastructure", scope)
    assert ("NatGateway" in made["Resources"]) is (inputs["nat_gateway"] == "yes")


@pytest.mark.parametrize(
    "inputs",
    combinations(
        {
            "port": [8080],
            "image": ["nginx:1"],
            "task_size": ["small", "large"],
            "loadbalancer_type": ["application", "network"],
            "subnet_type": ["public", "private"],
        }
    ),
    ids=lambda each: "-".join(map(str, each.values())),
)
def test_a_service_is_the_same_stack_with_what_is_supplied_by_the_caller(
    inputs: dict[str, Any],
) -> None:
    found = importing.read(BUNDLES / "web-service")
    outputs = {name: f"{name}-1" for name in OUTPUTS}
    scope = {
        **NAMES,
        "environment": {"name": "shared", "outputs": outputs},
        "service_instance": {**NAMES["service_instance"], "inputs": inputs},
    }
    values = {
        "Port": "8080",
        "Artifact": "nginx:1",
        "TaskSize": inputs["task_size"],
        "LoadbalancerType": inputs["loadbalancer_type"],
        "SubnetType": inputs["subnet_type"],
        "ProjectName": "payments",
        "EnvironmentName": "pr-12",
        "ServiceNameServiceInstanceNameTruncate29TrueZzz0": "payments--pr-12",
        "NotCarriedOver": "a component's policies, of which there are none",
        **{name: each for name, each in outputs.items() if name != "SNSTopic"},
    }

    made = stack(found.body, values)

    assert made["Outputs"].pop("Url") == made["Outputs"]["ServiceURL"]
    assert unbound(made) == proton(BUNDLES / "web-service/instance_infrastructure", scope)
    is_public = inputs["subnet_type"] == "public"
    network = made["Resources"]["Service"]["Properties"]["NetworkConfiguration"]
    assert len(network["AwsvpcConfiguration"]["Subnets"]) == 1 + is_public


@pytest.mark.parametrize(
    "inputs",
    combinations(
        {
            "lambda_runtime": ["python3.13", "nodejs22.x"],
            "lambda_memory": [128],
            "purpose": [None, "orders"],
            "topics": [["orders"], ["orders", "refunds"]],
            "queues": [{"delay": 9}],
            "api_key": ["12345678"],
        }
    ),
    ids=lambda each: "-".join(map(str, each.values())),
)
def test_optional_inputs_may_be_omitted(inputs: dict[str, Any]) -> None:
    found = importing.read(BUNDLES / "worker")
    known = {name: value for name, value in inputs.items() if value is not None}
    outputs = {name: f"{name}-1" for name in OUTPUTS}
    scope = {
        **NAMES,
        "environment": {"name": "shared", "outputs": outputs},
        "service_instance": {"name": "pr-12", "inputs": known},
    }
    values = {
        "LambdaRuntime": inputs["lambda_runtime"],
        "LambdaMemory": "128",
        "Topics": ",".join(inputs["topics"]),
        "QueuesDelay": "9",
        "ApiKey": "12345678",
        "ProjectName": "payments",
        "EnvironmentName": "pr-12",
        "SharedEnvironmentName": "shared",
        "SNSTopic": "SNSTopic-1",
        **({"Purpose": inputs["purpose"]} if inputs["purpose"] else {}),
    }

    made = stack(found.body, values)

    folder = BUNDLES / "worker/instance_infrastructure"
    assert unbound(made) == proton(folder, scope)
    by_sam = rendered((folder / "cloudformation.yaml").read_text(), scope)
    assert unbound(transformed(found.body, values)) == transformed(by_sam, {})
    properties = made["Resources"]["Worker"]["Properties"]
    assert properties.get("Description") == (inputs["purpose"] and f"For {inputs['purpose']}")
    assert found.report.losses == []


# --- templates that nobody wrote ----------------------------------------------------------------

SCHEMA = """
a: {type: string, enum: [x, y, z]}
b: {type: string, enum: [p, q, r], default: p}
flag: {type: boolean, default: false}
some: {type: string, minLength: 1}
"""
TESTS = [
    "{e}.a == 'x'",
    "'y' == {e}.a",
    "{e}.a != 'z'",
    "{e}.flag",
    "not {e}.flag",
    "{e}.some is defined",
    "{e}.b in ['p', 'q']",
    "{e}.b not in ['r'] and {e}.flag",
    "{e}.a == 'x' or {e}.b == 'q'",
    "{e}.flag == true",
]
test = st.sampled_from(TESTS).map(lambda text: text.format(e="environment.inputs"))
value = st.sampled_from(
    [
        "1",
        "'1'",
        "'{{ environment.inputs.a }}'",
        "{{ environment.inputs.b }}",
        "'${x} of {{ environment.name }}'",
        "!Sub 'x-{{ environment.inputs.a }}-${AWS::Region}'",
        "{{ 'on' if environment.inputs.flag else 'off' }}",
        "[a, '{{ environment.inputs.b }}']",
        "[a]",
        "{{ environment.inputs.flag and 'p' or environment.inputs.a }}",
        "[{% for n in [1, 2, 3] if n > 1 %}{{ n }}-{{ loop.index }}{{ ',' if not loop.last }}"
        "{% endfor %}]",
        "[{% for n in [] %}{% else %}{{ environment.inputs.b }}{% endfor %}]",
        "{K: a, L: '{{ environment.inputs.some | default(\"none\") }}'}",
        "!Join ['-', [a, '{{ environment.inputs.a }}']]",
    ]
)


@st.composite
def fenced(draw: st.DrawFn, block: str, other: str) -> str:
    """The block as it is, or behind a condition; with another in its place, or none."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return block
    ways = [f"{{% if {draw(test)} %}}\n{block}"]
    if kind > 1:
        ways.append(f"{{% elif {draw(test)} %}}\n" if kind == 3 else "")
        ways.append(f"{{% else %}}\n{other}")
    return "".join(ways) + "{% endif %}\n"


@st.composite
def templates(draw: st.DrawFn) -> str:
    text = "Resources:\n  Always: {Type: AWS::SNS::Topic}\n"
    for resource in draw(st.sets(st.sampled_from(["One", "Two"]), min_size=1)):
        lines = f"  {resource}:\n    Type: AWS::SQS::Queue\n    Properties:\n      Always: 1\n"
        for name in draw(st.sets(st.sampled_from("PQR"))):
            one, other = (f"      {name}: {draw(value)}\n" for _ in range(2))
            lines += draw(fenced(one, other))
        text += draw(
            fenced(lines, f"  {resource}: {{Type: AWS::SQS::Queue, Properties: {{Other: 1}}}}\n")
        )
    return text


@settings(max_examples=30, deadline=None)
@given(templates())
def test_every_kind_of_expression_keeps_its_meaning(text: str) -> None:
    with bundle(text, SCHEMA) as folder:
        found = importing.read(folder)

    assert found.report.losses == []
    tree = read(found.body)
    declared = set(tree.get("Parameters", {}))
    for inputs in combinations(
        {"a": ["x", "y", "z"], "b": ["p", "r"], "flag": [True, False], "some": [None, "o"]}
    ):
        known = {name: each for name, each in inputs.items() if each is not None}
        values = {"EnvironmentName": "env"} | {
            name.capitalize(): str(each).lower() for name, each in known.items()
        }
        made = Stack(tree, {name: values[name] for name in values if name in declared}).made()

        scope = {"environment": {"name": "env", "inputs": known}}
        assert made == stack(rendered(text, scope), {}), text


WRITTEN = {
    "nested conditions, with one of its own": """
Conditions:
  Mine: !Equals [!Ref AWS::Region, eu-central-1]
Resources:
  Always: {Type: AWS::A}
  {% if E.flag %}{% if E.a == 'x' %}
  Both: {Type: AWS::A}
  {% endif %}
  Own: {Type: AWS::A, Condition: Mine}
  {% endif %}
  {% if E.flag or E.a == 'y' %}
  Either: {Type: AWS::A, DependsOn: Always}
  {% endif %}
  {% if not (E.flag and E.a == 'z') %}
  NotBoth: {Type: AWS::A}
  {% endif %}
  {% if E.flag %}{% if E.a != 'x' %}
  One: {Type: AWS::A}
  {% endif %}{% else %}{% if E.b == 'r' %}
  One: {Type: AWS::A}
  {% endif %}{% endif %}
""",
    "sections that only some ways have": """
{% if E.flag %}
Parameters:
  Own: {Type: String, Default: x}
Mappings:
  M: {one: {k: '{{ E.a }}', l: fixed}}
Conditions:
  Mine: !Equals [!Ref Own, x]
{% else %}
Mappings:
  M: {one: {k: other}, two: {k: '2'}}
{% endif %}
Resources:
  One:
    Type: AWS::A
    Properties:
      P: !FindInMap [M, one, k]
      {% if E.flag %}
      Q: !If [Mine, !Ref Own, '{{ E.a }}']
      R: !FindInMap [M, one, l]
      {% endif %}
Outputs:
  Out: {Value: 1, Export: {Name: "{{ E.a if E.flag else 'none' }}"}}
""",
    "texts put together": """
{% set name = 'n-' ~ E.a %}
{% set longer = name + '-' + E.b %}
{% set of = {'one': E.a, 'two': 'fixed'} %}
Resources:
  One:
    Type: AWS::A
    Properties:
      P: '{{ longer }}'
      Q: !Sub ['{{ E.a }}-${V}-${AWS::Region}', {V: '{{ E.b }}'}]
      R: '{{ of.one }} {{ of["two"] }} {{ of.two | upper }} {{ [E.b, "x"][1] }}'
      S: '{{ E.list[0] }} of {{ E.list | join("+") }} ${x}'
      {% for key, value in of.items() %}
      {{ key }}: '{{ value }}'
      {% endfor %}
      T: [{% for key in of.keys() %}{{ key }},{% endfor %}]
      V: [{% for each in of.values() %}'{{ each }}',{% endfor %}]
      U: {{ E.b | string }}
""",
    "lists of the inputs": """
Resources:
  One:
    Type: AWS::A
    Properties:
      P:
      {% if E.flag %}
      {% for each in E.list %}
        - '{{ each }}'
      {% endfor %}
      {% else %}
        - none
      {% endif %}
      Q: {{ E.list }}
""",
    "numbers and what may be empty": """
Resources:
  One:
    Type: AWS::A
    Properties:
      {% if E.number == 1 %}
      P: one
      {% elif E.number in [2, 3] %}
      P: few
      {% endif %}
      {% if E.text %}
      Q: '{{ E.text }}'
      {% endif %}
      R: {% for n in range(1, 4) %}{% if n >= 2 %}{{ n - 1 }}{% endif %}{% endfor %}
""",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_every_spelling_of_an_expression_makes_the_same_stack(text: str) -> None:
    text = text.replace("E.", "environment.inputs.")
    schema = (
        f"{SCHEMA}list: {{type: array, items: {{type: string}}, default: [d]}}\n"
        "number: {type: number, default: 1}\ntext: {type: string, default: ''}\n"
    )

    with bundle(text, schema) as folder:
        found = importing.read(folder)

    assert found.report.losses == []
    tree = read(found.body)
    for inputs in combinations(
        {
            "a": ["x", "y", "z"],
            "b": ["p", "r"],
            "flag": [True, False],
            "list": [["m"], ["m", "n"]],
            "number": [1, 3, 9],
            "text": ["", "t"],
        }
    ):
        values = {
            **{name.capitalize(): str(each).lower() for name, each in inputs.items()},
            "List": ",".join(inputs["list"]),
        }
        declared = tree.get("Parameters", {})
        made = Stack(tree, {n: each for n, each in values.items() if n in declared}).made()
        assert made == stack(rendered(text, {"environment": {"inputs": inputs}}), {})


def test_constants_keep_their_types() -> None:
    text = (
        "Resources:\n  A:\n    Type: AWS::X\n    Properties:\n"
        "      {% if environment.inputs.flag %}\n      B: {C: 1, D: '1', E: true, F: 'true'}\n"
        "      {% endif %}\n      G: 2012-10-17\n      H: ~\n      I: 1.50\n"
    )

    with bundle(text, SCHEMA) as folder:
        body = importing.read(folder).body

    lines = [line.strip() for line in body.splitlines()]
    for line in ("- C: 1", "D: '1'", "E: true", "F: 'true'", "G: 2012-10-17", "I: 1.50", "H: ~"):
        assert line in lines, body


def test_the_functions_do_not_contain_the_importer() -> None:
    makefile = (ROOT / "layers/core/Makefile").read_text()

    assert '"$(LAYER)/slipway/importers"' in makefile


@pytest.mark.parametrize("text", ["08", "012345678901", "0300", "yes", "off", "1:30", "~", "1e3"])
def test_text_that_cloudformation_would_read_as_something_else_is_quoted(text: str) -> None:
    written = writing.dump({"Description": text})

    assert template_syntax.from_yaml(written) == {"Description": text}
