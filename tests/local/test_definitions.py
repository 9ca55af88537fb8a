"""Definitions that Step Functions refuses (local/asl/, patches/state_machines.py).

The recordings are LocalStack's, stepfunctions/v2; "measured" are the answers of AWS that
local/asl/definition.py names the sources of.
"""

import json
import re
import uuid
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local import asl
from local.asl import fields
from local.platform import HERE, Platform
from tests.support.local.platform import Stacks

ROLE = "arn:aws:iam::000000000000:role/test"
LAMBDA = "arn:aws:states:::lambda:invoke"
OK: dict[str, Any] = {"Type": "Pass", "End": True}
SCHEMA = "SCHEMA_VALIDATION_FAILED"


def machine(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states, **fields}


def jsonata(states: dict[str, Any]) -> dict[str, Any]:
    return machine(states, QueryLanguage="JSONata")


def found(definition: Any, kind: str = "STANDARD") -> list[tuple[str, str, str | None]]:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return [tuple(each) for each in asl.problems(text, kind)]  # type: ignore[misc]


def test_definitions_that_the_recordings_refuse_are_refused_in_the_same_words() -> None:
    # test_sfn_api_validation: not_a_definition[EMPTY_STRING, EMPTY_DICT],
    # type_standard[INVALID_BASE_NO_STARTAT, INVALID_DOWNGRADE_QUERY_LANGUAGE],
    # type_express[ILLEGAL_WFTT].
    assert found("") == [(SCHEMA, "Definition must be a valid JSON object", None)]
    assert found({}) == [(SCHEMA, "These fields are required: [States, StartAt]", "/")]
    assert found({"States": {"A": OK}}) == [(SCHEMA, "These fields are required: [StartAt]", "/")]
    downgraded = jsonata({"Pass": OK | {"QueryLanguage": "JSONPath"}})
    said = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
    assert found(downgraded) == [(SCHEMA, said, "/States/Pass")]
    waits = {"Type": "Task", "Resource": f"{LAMBDA}.waitForTaskToken", "End": True}
    assert found(machine({"Wait": waits})) == []
    said = "Express state machine does not support '.waitForTaskToken' service integration "
    assert found(machine({"Wait": waits}), "EXPRESS") == [(SCHEMA, said, "/States/Wait/Resource")]


def test_text_that_is_not_json_is_refused_with_the_place() -> None:
    # test_sfn_api_validation: not_a_definition[NOT_A_DEF]; the parser's message is our own's.
    [(code, message, location)] = found("not a definition")

    assert code == "INVALID_JSON_DESCRIPTION"
    assert location == '[Source: (String)"not a definition"; line: 1, column: 1]'
    assert message.endswith(location)


TASK = {"Type": "Task", "Resource": LAMBDA, "End": True}
MEASURED = [
    (
        machine({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}),
        [("MISSING_END_STATE", "Workflow has no terminal state", None)],
    ),
    (
        machine({"A": {"Type": "Pass", "Next": "A"}, "C": OK}),
        [("MISSING_TRANSITION_TARGET", 'State "C" is not reachable.', "/States/C")],
    ),
    (
        machine({"A": {"Type": "Pass", "Next": "NOPE"}}),
        [
            ("MISSING_TRANSITION_TARGET", "Missing 'Next' target: NOPE", "/States/A/Next"),
            ("MISSING_END_STATE", "Workflow has no terminal state", None),
        ],
    ),
    (
        jsonata(
            {
                "C": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% true %}", "Next": "X"}],
                    "Default": "Y",
                }
            }
            | {"T": TASK | {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Z"}]}}
        ),
        [
            ("MISSING_TRANSITION_TARGET", "Missing 'Next' target: Y", "/States/C/Default"),
            ("MISSING_TRANSITION_TARGET", "Missing 'Next' target: X", "/States/C/Choices[0]/Next"),
            ("MISSING_TRANSITION_TARGET", "Missing 'Next' target: Z", "/States/T/Catch[0]/Next"),
            ("MISSING_TRANSITION_TARGET", 'State "T" is not reachable.', "/States/T"),
        ],
    ),
    (
        jsonata({"A": OK | {"Output": "{% phone %}"}}),
        [
            (
                "UNSUPPORTED_JSONATA_EXPRESSION",
                "Reference to 'phone' at the top level is not supported.",
                "/States/A/Output",
            )
        ],
    ),
    (
        machine({"A": OK | {"Output": 1}}),
        [
            (
                SCHEMA,
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for "
                "the 'JSONata' QueryLanguage",
                "/States/A",
            )
        ],
    ),
    (
        jsonata({"A": OK | {"ResultPath": "$.a"}}),
        [
            (
                SCHEMA,
                "The QueryLanguage is set to 'JSONata', but field 'ResultPath' is only supported "
                "for the 'JSONPath' QueryLanguage",
                "/States/A",
            )
        ],
    ),
    (
        machine({"M": {"Type": "Map", "MaxConcurrency": -1, "Iterator": machine({"A": OK})}})
        | {"StartAt": "M"},
        [
            (
                SCHEMA,
                "There should be exactly one of the following fields: [Next, End]",
                "/States/M",
            ),
            (SCHEMA, "Minimum value is 0", "/States/M/MaxConcurrency"),
        ],
    ),
    (
        machine(
            {
                "M": {
                    "Type": "Map",
                    "End": True,
                    "ItemProcessor": machine({"A": OK}, QueryLanguage="JSONata"),
                }
            }
        ),
        [(SCHEMA, "Field 'QueryLanguage' is not supported", "/States/M/ItemProcessor")],
    ),
    (
        machine({"T": TASK | {"TimeoutSeconds": 1, "TimeoutSecondsPath": "$.a"}}),
        [
            (
                SCHEMA,
                "There should only be one of the following fields: "
                "[TimeoutSeconds, TimeoutSecondsPath]",
                "/States/T",
            )
        ],
    ),
]


@pytest.mark.parametrize(("definition", "problems"), MEASURED)
def test_definitions_that_were_measured_are_refused_in_the_same_words(
    definition: dict[str, Any], problems: list[tuple[str, str, str | None]]
) -> None:
    assert found(definition) == problems


ALLOWED = {
    "TimeoutSeconds": {"Task"},
    "Retry": {"Task", "Parallel", "Map"},
    "Catch": {"Task", "Parallel", "Map"},
}
VALUES: dict[str, Any] = {
    "TimeoutSeconds": 1,
    "Retry": [{"ErrorEquals": ["States.ALL"]}],
    "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "S"}],
}
EVERY_TYPE: dict[str, Any] = {
    "Pass": OK,
    "Task": TASK,
    "Parallel": {"Type": "Parallel", "Branches": [machine({"B": OK})], "End": True},
    "Map": {"Type": "Map", "ItemProcessor": machine({"B": OK}), "End": True},
    "Choice": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "S"}]},
    "Wait": {"Type": "Wait", "Seconds": 1, "End": True},
    "Succeed": {"Type": "Succeed"},
    "Fail": {"Type": "Fail"},
}


@pytest.mark.parametrize("field", ALLOWED)
@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_a_field_is_supported_by_the_types_that_aws_says(kind: str, field: str) -> None:
    state = EVERY_TYPE[kind] | {field: VALUES[field]}
    schema = [each for each in found(machine({"S": state})) if each[0] == SCHEMA]

    said = (SCHEMA, f"Field '{field}' is not supported", "/States/S")
    assert schema == ([] if kind in ALLOWED[field] else [said])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"Type": "Sleep"}, "/States/S/Type"),
    ({}, "These fields are required: [Type] at /States/S"),
    (OK | {"Comments": "x"}, "Field 'Comments' is not supported at /States/S"),
    ({"Type": "Pass"}, "[Next, End] at /States/S"),
    (OK | {"Next": "S"}, "[Next, End] at /States/S"),
    (OK | {"End": False}, "/States/S/End"),
    ({"Type": "Task", "End": True}, "These fields are required: [Resource] at /States/S"),
    (TASK | {"Resource": "invoke"}, "Value is not a valid resource ARN at /States/S/Resource"),
    (TASK | {"TimeoutSeconds": 0}, "Minimum value is 1 at /States/S/TimeoutSeconds"),
    (TASK | {"TimeoutSeconds": 1.5}, "Value should be an integer at /States/S/TimeoutSeconds"),
    (TASK | {"TimeoutSeconds": "soon"}, "/States/S/TimeoutSeconds"),
    (TASK | {"TimeoutSeconds": 5, "HeartbeatSeconds": 5}, "HeartbeatSeconds should be less"),
    (TASK | {"Retry": [{}]}, "[ErrorEquals] at /States/S/Retry[0]"),
    (TASK | {"Retry": [{"ErrorEquals": []}]}, "/States/S/Retry[0]/ErrorEquals"),
    (TASK | {"Retry": [{"ErrorEquals": ["States.ALL", "X"]}]}, "'States.ALL' should be alone"),
    (
        TASK | {"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]},
        "/States/S/Retry[0]/ErrorEquals",
    ),
    (
        TASK | {"Retry": [{"ErrorEquals": ["X"], "BackoffRate": 0.5}]},
        "Minimum value is 1 at /States/S/Retry[0]/BackoffRate",
    ),
    (TASK | {"Retry": [{"ErrorEquals": ["X"], "Next": "S"}]}, "'Next' is not supported"),
    (TASK | {"Retry": [{"ErrorEquals": ["X"], "JitterStrategy": "SOME"}]}, "JitterStrategy"),
    (TASK | {"Catch": [{"ErrorEquals": ["X"]}]}, "[Next] at /States/S/Catch[0]"),
    ({"Type": "Wait", "End": True}, "One of these fields is required"),
    ({"Type": "Wait", "End": True, "Seconds": 1, "Timestamp": "x"}, "[Seconds, Timestamp]"),
    ({"Type": "Choice", "Choices": []}, "/States/S/Choices"),
    ({"Type": "Choice", "Choices": [{"Next": "S"}]}, "exactly one comparison"),
    ({"Type": "Choice", "End": True}, "Field 'End' is not supported"),
    ({"Type": "Succeed", "End": True}, "Field 'End' is not supported"),
    ({"Type": "Fail", "Next": "S"}, "Field 'Next' is not supported"),
    ({"Type": "Parallel", "Branches": [], "End": True}, "/States/S/Branches"),
    (
        {"Type": "Parallel", "Branches": [{"StartAt": "B"}], "End": True},
        "These fields are required: [States] at /States/S/Branches[0]",
    ),
    (
        {
            "Type": "Parallel",
            "Branches": [machine({"B": {"Type": "Pass", "Next": "S"}})],
            "End": True,
        },
        "Missing 'Next' target: S at /States/S/Branches[0]/States/B/Next",
    ),
    ({"Type": "Parallel", "Branches": [machine({"S": OK})], "End": True}, "DUPLICATE_STATE_NAME"),
    ({"Type": "Map", "End": True}, "These fields are required: [ItemProcessor] at /States/S"),
]


@pytest.mark.parametrize(("state", "said"), REFUSED)
def test_a_state_that_is_not_valid_is_refused(state: dict[str, Any], said: str) -> None:
    refusal = asl.refusal(json.dumps(machine({"S": state})))

    assert refusal is not None
    assert said in refusal


def test_the_machine_itself_is_checked() -> None:
    assert "Field 'Name' is not supported at /" in str(asl.refusal(_text(Name="x")))
    assert "/Version" in str(asl.refusal(_text(Version="2.0")))
    assert "Minimum value is 1 at /TimeoutSeconds" in str(asl.refusal(_text(TimeoutSeconds=0)))
    assert "/QueryLanguage" in str(asl.refusal(_text(QueryLanguage="JMESPath")))
    assert "at /StartAt" in str(asl.refusal(_text(StartAt="B")))
    assert "INVALID_STATE_NAME" in str(asl.refusal(json.dumps(machine({"A" * 81: OK}))))
    assert asl.refusal(_text(Version="1.0", TimeoutSeconds=5, Comment="x")) is None


def _text(**fields: Any) -> str:
    return json.dumps(machine({"A": OK}) | fields)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("$states.input.a.b[c = 1]", []),
        ("{'k': $states.result.v, 'n': 1}", []),
        ("$map($states.input.l, function($i) { $i.name })", []),
        ("$states.input.l^(>age).name", []),
        ("a & $states.input.b", ["a"]),
        ("$sum([x, y])", ["x", "y"]),
        ("($v := q.r; $v ? s : 1)", ["q", "s"]),
    ],
)
def test_an_expression_begins_with_a_variable(expression: str, names: list[str]) -> None:
    problems = found(jsonata({"A": OK | {"Output": f"{{% {expression} %}}"}}))

    assert [message.split("'")[1] for _, message, _ in problems] == names


def test_an_expression_has_to_parse() -> None:
    [(code, _, location)] = found(jsonata({"A": OK | {"Output": {"v": ["{% 1 + %}"]}}}))

    assert (code, location) == ("INVALID_JSONATA_EXPRESSION", "/States/A/Output/v[0]")


@pytest.mark.parametrize("name", sorted(p.name for p in (HERE / "statemachines").iterdir()))
def test_our_own_definitions_are_valid(name: str) -> None:
    text = (HERE / "statemachines" / name).read_text()
    definition = yaml.safe_load(re.sub(r"\$\{\w+\}", "aws", text))  # as DefinitionSubstitutions do

    assert asl.problems(json.dumps(definition)) == []


NAMES = sorted(
    fields.MACHINE
    | fields.EVERY_STATE
    | fields.RETRIER.both
    | fields.CATCHER.both
    | fields.STATES["Map"].both
    | fields.CHOICE.jsonata
    | {"Next", "End", "Branches", "Choices", "Default"}
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "S", "JSONata", "{% $ %}"]),
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(st.sampled_from(["S", "ErrorEquals", "Next", *NAMES]), below, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=6),
    st.sampled_from(sorted(fields.STATES)) | VALUE,
    st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=3),
)
def test_anything_is_judged_and_nothing_raises(
    state: dict[str, Any], kind: Any, top: dict[str, Any]
) -> None:
    definition = {"StartAt": "S", "States": {"S": state | {"Type": kind}}} | top

    for problem in asl.problems(json.dumps(definition)):
        assert problem.code and problem.message


def test_the_api_refuses_what_is_not_valid(platform: Platform) -> None:
    client = platform.client("stepfunctions")
    request = {"name": f"test-{uuid.uuid4().hex}", "roleArn": ROLE}

    # test_sfn_api, test_create_delete_invalid_sm.
    with pytest.raises(ClientError) as refused:
        client.create_state_machine(**request, definition='{"StartAt": "A"}')
    assert refused.value.response["Error"] == {
        "Code": "InvalidDefinition",
        "Message": "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: "
        "These fields are required: [States] at /'",
    }

    arn = client.create_state_machine(**request, definition=_text())["stateMachineArn"]
    with pytest.raises(
        ClientError, match="MISSING_END_STATE: Workflow has no terminal state at null"
    ):
        client.update_state_machine(
            stateMachineArn=arn,
            definition=json.dumps(machine({"A": {"Type": "Pass", "Next": "A"}})),
        )
    assert client.describe_state_machine(stateMachineArn=arn)["definition"] == _text()


def test_a_definition_can_be_validated_without_a_state_machine(platform: Platform) -> None:
    client = platform.client("stepfunctions")

    answer = client.validate_state_machine_definition(definition=_text())
    assert (answer["result"], answer["diagnostics"], answer["truncated"]) == ("OK", [], False)
    wrong = json.dumps(machine({"A": {"Type": "Pass", "Next": "NOPE"}}))
    answer = client.validate_state_machine_definition(definition=wrong, maxResults=1)
    assert (answer["result"], answer["truncated"]) == ("FAIL", True)
    assert answer["diagnostics"] == [
        {
            "severity": "ERROR",
            "code": "MISSING_TRANSITION_TARGET",
            "message": "Missing 'Next' target: NOPE",
            "location": "/States/A/Next",
        }
    ]


@pytest.mark.parametrize("in_yaml", [True, False])
def test_a_definition_in_s3_may_be_yaml(platform: Platform, in_yaml: bool) -> None:
    s3, bucket = platform.client("s3"), f"test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    body = yaml.safe_dump(json.loads(_text())) if in_yaml else _text()
    s3.put_object(Bucket=bucket, Key="machine", Body=body.encode())
    location = {"Bucket": bucket, "Key": "machine"}
    properties = {"RoleArn": ROLE, "DefinitionS3Location": location}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}

    stack = Stacks(platform).create({"Resources": {"It": resource}})

    assert stack.status == "CREATE_COMPLETE"
    (machine,) = platform.client("cloudformation").describe_stack_resources(StackName=stack.id)[
        "StackResources"
    ]
    found = platform.client("stepfunctions").describe_state_machine(
        stateMachineArn=machine["PhysicalResourceId"]
    )
    assert json.loads(found["definition"]) == json.loads(_text())


def test_a_stack_with_a_definition_that_is_not_valid_fails(platform: Platform) -> None:
    def template(definition: str) -> dict[str, Any]:
        properties = {"RoleArn": ROLE, "DefinitionString": definition}
        kind = "AWS::StepFunctions::StateMachine"
        return {"Resources": {"It": {"Type": kind, "Properties": properties}}}

    stack = Stacks(platform).create(template("{}"))
    assert stack.status == "ROLLBACK_COMPLETE"
    assert "These fields are required: [States, StartAt] at /" in stack.failures()["It"]

    stack = Stacks(platform).create(template(_text()))
    stack.update(template("not json"))
    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "INVALID_JSON_DESCRIPTION" in stack.failures()["It"]
