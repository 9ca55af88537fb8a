"""Properties of every state machine, read as the graph that Step Functions would walk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from jsonata import Jsonata

from slipway import errors
from slipway.domain.confirmation import SERVED_BY
from slipway.http import openapi
from tests.support.asl import handlers, keys, reached, states, strings, targets, tasks
from tests.support.repository import FUNCTIONS, MACHINES, ROOT, camel, machine, resources

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
AWS_ERRORS = re.compile(r"(States|Lambda|Runtime|Sandbox|DynamoDB|DynamoDb)\.\w+")
# The errors that a function's caller receives when the sandbox, not the handler, has failed. The
# names from Runtime on mean that the process has exited or was killed, had no memory left, or took
# too long.
SANDBOX_FAULTS = {
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "States.Timeout",
}
JSONPATH_FIELDS = {"InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector"}

every_machine = pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)


def is_error(word: str) -> bool:
    kind = getattr(errors, word, None)
    return isinstance(kind, type) and issubclass(kind, errors.SlipwayError)


@every_machine
def test_the_file_the_resource_and_the_machine_share_a_name(
    path: Path,
) -> None:
    sentence = path.name.removesuffix(".asl.yaml")

    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", sentence)
    resource = resources("AWS::Serverless::StateMachine")[camel(sentence)]
    assert resource["Properties"]["DefinitionUri"] == f"statemachines/{path.name}"
    # slipway.aws.executions knows the ARN from the file's name.
    assert str(resource["Properties"]["Name"]).rstrip("'}").endswith(f"-{sentence}")


def test_every_state_machine_has_a_definition_file() -> None:
    assert len(resources("AWS::Serverless::StateMachine")) == len(MACHINES) > 0


@every_machine
def test_the_file_has_no_yaml_aliases(path: Path) -> None:
    # CloudFormation would read an alias as the text of its name, and say nothing.
    events = list(yaml.parse(path.read_text()))

    assert not [event for event in events if isinstance(event, yaml.AliasEvent)]


@every_machine
def test_the_machine_has_a_comment_and_uses_jsonata(path: Path) -> None:
    definition = machine(path)

    assert definition["Comment"].endswith(".")
    assert definition["QueryLanguage"] == "JSONata"
    assert not {key for key in keys(definition) if key in JSONPATH_FIELDS or key.endswith(".$")}


@every_machine
def test_every_state_has_the_fields_of_its_type(path: Path) -> None:
    # cfn-lint knows the grammar, but does not read the files behind DefinitionUri.
    text = json.dumps(machine(path)).replace("${Partition}", "aws")
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/it", "Definition": json.loads(text)}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}

    found = lint(
        json.dumps({"Resources": {"It": resource}}), config=ManualArgs(regions=["us-east-1"])
    )
    assert [f"{match.message}: {match.path}" for match in found] == []


@every_machine
def test_every_expression_can_be_parsed(path: Path) -> None:
    found = [text for text in strings(machine(path)) if "{%" in text]

    for text in found:
        # Step Functions takes an expression only as a whole string.
        assert text.startswith("{%") and text.endswith("%}"), text
        assert Jsonata(text[2:-2]), text
    assert found


@every_machine
def test_every_target_exists_and_every_state_is_reachable(path: Path) -> None:
    graph = states(path)

    assert {name for state in graph.values() for name in targets(state)} <= set(graph)
    assert reached(path, machine(path)["StartAt"]) == set(graph)


@every_machine
def test_every_state_has_a_next_state_or_ends(path: Path) -> None:
    for name, state in states(path).items():
        ends = state.get("End") is True or state["Type"] in ("Succeed", "Fail")
        goes_on = "Next" in state or state["Type"] == "Choice"
        assert ends != goes_on, name


@every_machine
def test_every_choice_has_a_default(path: Path) -> None:
    choices = [state for state in states(path).values() if state["Type"] == "Choice"]

    assert all("Default" in state for state in choices)


@every_machine
def test_every_task_has_a_timeout(path: Path) -> None:
    assert [name for name, state in tasks(path).items() if "TimeoutSeconds" not in state] == []


@every_machine
def test_states_are_sentences(path: Path) -> None:
    for name in states(path):
        assert re.fullmatch(r"[A-Z][a-z' ,]+\??", name), name
        assert len(name) <= 80


@every_machine
def test_errors_are_caught_by_names_that_exist(path: Path) -> None:
    words = {
        word
        for kind in ("Retry", "Catch")
        for _, handler in handlers(path, kind)
        for word in handler["ErrorEquals"]
    }

    assert [
        word for word in sorted(words) if not (is_error(word) or AWS_ERRORS.fullmatch(word))
    ] == []


@every_machine
def test_a_refusal_is_never_retried(path: Path) -> None:
    for name, retry in handlers(path, "Retry"):
        if retry.get("MaxAttempts") == 0:
            continue
        for word in retry["ErrorEquals"]:
            if is_error(word):
                assert issubclass(getattr(errors, word), errors.Fault), f"{name}: {word}"
            # These catch the functions' own refusals too.
            if name in tasks(path, "lambda:"):
                assert word not in ("States.ALL", "States.TaskFailed"), name


@every_machine
def test_failures_of_a_functions_sandbox_are_retried(path: Path) -> None:
    for name, state in tasks(path, "lambda:").items():
        [retry] = state["Retry"]
        assert set(retry["ErrorEquals"]) >= SANDBOX_FAULTS, name


@every_machine
def test_every_retry_backs_off_with_jitter_and_a_cap(path: Path) -> None:
    for name, retry in handlers(path, "Retry"):
        if retry.get("MaxAttempts") == 0:
            continue
        assert retry["BackoffRate"] > 1, name
        assert retry["JitterStrategy"] == "FULL", name
        assert retry["MaxDelaySeconds"] > retry["IntervalSeconds"], name


@every_machine
def test_every_task_is_retried_and_caught(path: Path) -> None:
    for name, state in tasks(path).items():
        assert state.get("Retry"), name
        assert "States.ALL" in state["Catch"][-1]["ErrorEquals"], name


@every_machine
def test_every_catch_all_ends_in_fail(path: Path) -> None:
    graph = states(path)
    ways = [catch for _, catch in handlers(path, "Catch") if "States.ALL" in catch["ErrorEquals"]]

    for way in ways:
        ends = {name for name in reached(path, way["Next"]) if not targets(graph[name])}
        assert ends, f"{way['Next']} leads nowhere"
        assert {name for name in ends if graph[name]["Type"] != "Fail"} == set(), way["Next"]
    assert ways


@every_machine
def test_every_write_is_conditional(path: Path) -> None:
    # Exactly one writer wins, and the others must notice that they lost.
    for name, state in tasks(path, "dynamodb:updateItem").items():
        assert state["Arguments"]["ConditionExpression"], name
    for name, state in tasks(path, "aws-sdk:dynamodb:transactWriteItems").items():
        updates = [
            item["Update"] for item in state["Arguments"]["TransactItems"] if "Update" in item
        ]
        assert updates, name
        assert all("ConditionExpression" in update for update in updates), name


@every_machine
def test_every_name_and_value_of_an_expression_is_used_and_declared(path: Path) -> None:
    # DynamoDB refuses both; the emulators refuse neither.
    for name, state in tasks(path).items():
        arguments = state["Arguments"]
        items = arguments.get("TransactItems", [{"it": arguments}])
        for action in (action for item in items for action in item.values()):
            text = " ".join(value for key, value in action.items() if key.endswith("Expression"))
            for place, sign in (
                ("ExpressionAttributeNames", "#"),
                ("ExpressionAttributeValues", ":"),
            ):
                declared = action.get(place, {})
                if isinstance(declared, dict):
                    assert set(re.findall(rf"{sign}\w+", text)) == set(declared), name


@every_machine
def test_placeholders_are_quoted_substituted_and_all_used(path: Path) -> None:
    text = path.read_text()
    quoted = [
        word
        for token in yaml.scan(text)
        if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"')
        for word in PLACEHOLDER.findall(token.value)
    ]
    resource = resources("AWS::Serverless::StateMachine")[camel(path.name.split(".")[0])]

    assert sorted(quoted) == sorted(PLACEHOLDER.findall(text))
    assert set(quoted) == set(resource["Properties"].get("DefinitionSubstitutions", {}))


@every_machine
def test_a_function_is_invoked_by_a_placeholder_with_the_name_of_its_resource(path: Path) -> None:
    substitutions = resources("AWS::Serverless::StateMachine")[camel(path.name.split(".")[0])][
        "Properties"
    ].get("DefinitionSubstitutions", {})

    for name, state in tasks(path, "lambda:").items():
        text = state["Arguments"]["FunctionName"]
        kind = "steps" if PLACEHOLDER.fullmatch(text) else "api"
        found = PLACEHOLDER.findall(text)
        assert found, name
        for resource in found:
            assert substitutions[resource] == {"Fn::GetAtt": [resource, "Arn"]}
            folder = resources("AWS::Serverless::Function")[resource]["Properties"]["CodeUri"]
            noun = resource.removesuffix("Function").lower()
            assert folder == f"functions/{kind}/{noun}", name
            assert kind == "steps" or f"'{noun}': '${{{resource}}}'" in text, name


def test_a_confirmed_request_is_carried_out_by_the_function_that_serves_its_route() -> None:
    [path] = [each for each in MACHINES if each.name.startswith("carry_out")]
    [state] = tasks(path, "lambda:").values()
    functions = {
        resource.removesuffix("Function").lower()
        for resource in PLACEHOLDER.findall(state["Arguments"]["FunctionName"])
    }
    serving = {
        route.action: name
        for name, api in openapi.load(ROOT / "functions").items()
        for route in api.routes
        if route.action in SERVED_BY
    }

    assert functions == set(SERVED_BY.values())
    assert serving.items() <= SERVED_BY.items()
    assert set(serving) >= {"projects:delete", "environments:destroy", "environments:update"}


@pytest.mark.parametrize(
    "folder", [f for f in FUNCTIONS if f.parent.name == "steps"], ids=lambda folder: folder.name
)
def test_every_step_is_a_state_of_its_own_name(folder: Path) -> None:
    state = folder.name.capitalize()
    invoked = [
        each[state]["Arguments"]["FunctionName"]
        for path in MACHINES
        if state in (each := tasks(path, "lambda:"))
    ]

    assert set(invoked) == {f"${{{state}Function}}"}
