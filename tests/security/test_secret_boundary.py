"""Secrets leave the texts of AWS at one place, before anything else sees them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from slipway import aws
from slipway.aws import redaction, secret_inputs
from slipway.domain.masking import WITHHELD, Masker
from slipway.drivers import stacks
from slipway.errors import DriverFault, DriverRefused

ENVIRONMENT: dict[str, Any] = {"id": f"env_{'0' * 20}_{'1' * 20}", "secret_inputs": {"Password"}}
PATH = f"/slipway/environments/{ENVIRONMENT['id']}/Password"
SECRET = "hunter2-secret"
Answers = dict[str, Callable[..., Any]]


class Service:
    """A client of AWS that answers by the names of its methods."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def __getattr__(self, method: str) -> Any:
        def ask(**request: Any) -> Any:
            self.asked.append(method)
            return self._answers[method](**request)

        return ask


def refusal(code: str, message: str, status: int = 400) -> ClientError:
    more: Any = {"ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, "Any")


def fails(error: Exception) -> Callable[..., Any]:
    def fail(**request: Any) -> Any:
        raise error

    return fail


def stored(**request: Any) -> Any:
    assert request["Path"] == f"/slipway/environments/{ENVIRONMENT['id']}"
    assert request["WithDecryption"] and request["Recursive"]
    of_an_update = f"{PATH.rpartition('/')[0]}/{'2' * 20}/Password"
    values = {PATH: SECRET, of_an_update: "another-secret"}
    return {"Parameters": [{"Name": name, "Value": value} for name, value in values.items()]}


@pytest.fixture
def service(environ: None, monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service({"get_parameters_by_path": stored})
    monkeypatch.setattr(aws, "client", lambda name: made)
    return made


STACK = {
    "StackName": "slipway-env-hunter2-secret",
    "StackStatus": "CREATE_FAILED",
    "StackStatusReason": f"The value {SECRET} of arn:aws:sqs:eu-central-1:123456789012:q is bad",
    "Outputs": [{"OutputKey": "Url", "OutputValue": f"https://{SECRET}/another-secret"}],
    "Parameters": [{"ParameterKey": "Password", "ParameterValue": SECRET}],
}


def test_an_answer_of_cloudformation_comes_with_masks(service: Service) -> None:
    service._answers["describe_stacks"] = lambda **request: {"Stacks": [STACK]}

    with secret_inputs.hidden(ENVIRONMENT):
        found = aws.call("cloudformation", "describe_stacks", StackName="x")["Stacks"][0]

    assert found["StackName"] == STACK["StackName"]
    assert found["StackStatus"] == "CREATE_FAILED"
    assert found["StackStatusReason"] == "The value **** of arn:aws:sqs:eu-central-1:****:q is bad"
    assert found["Outputs"] == [{"OutputKey": "Url", "OutputValue": "https://****/****"}]
    assert found["Parameters"][0]["ParameterValue"] == "****"


def test_the_values_are_read_once_and_only_when_there_is_a_text(service: Service) -> None:
    service._answers["describe_stacks"] = lambda **request: {"Stacks": [STACK]}
    service._answers["delete_stack"] = lambda **request: {}

    with secret_inputs.hidden(ENVIRONMENT), secret_inputs.hidden(ENVIRONMENT):
        aws.call("cloudformation", "delete_stack", StackName="x")
        assert service.asked == ["delete_stack"]
        for _ in range(3):
            aws.call("cloudformation", "describe_stacks", StackName="x")

    assert service.asked.count("get_parameters_by_path") == 1


def test_an_environment_without_secrets_reads_none(service: Service) -> None:
    service._answers["describe_stacks"] = lambda **request: {"Stacks": [STACK]}

    with secret_inputs.hidden({"id": ENVIRONMENT["id"]}, also=True):
        aws.call("cloudformation", "describe_stacks", StackName="x")

    assert "get_parameters_by_path" not in service.asked


@pytest.mark.parametrize("code", ["ValidationError", "Throttling"])
def test_a_refusal_comes_with_masks_and_so_does_its_traceback(service: Service, code: str) -> None:
    service._answers["create_stack"] = fails(refusal(code, f"Value {SECRET} is not allowed"))

    with secret_inputs.hidden(ENVIRONMENT), pytest.raises((DriverRefused, DriverFault)) as raised:
        aws.call("cloudformation", "create_stack", StackName="x")

    assert str(raised.value) == f"{code}: Value **** is not allowed"
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_a_request_that_the_library_refuses_does_not_quote_the_secret(service: Service) -> None:
    wrong = ParamValidationError(report=f"Invalid type, value: {SECRET}")
    service._answers["create_stack"] = fails(wrong)

    with secret_inputs.hidden(ENVIRONMENT), pytest.raises(DriverFault) as raised:
        aws.call("cloudformation", "create_stack", StackName="x")

    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_a_secret_that_cannot_be_stored_is_not_quoted(service: Service) -> None:
    service._answers["put_parameter"] = fails(refusal("ValidationException", f"not {SECRET}"))
    service._answers["delete_parameters"] = lambda **request: {}

    with pytest.raises(DriverFault) as raised:
        secret_inputs.write(ENVIRONMENT["id"], {"Password": SECRET})

    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("secret", ["does not exist", "exist", "Stack"])
def test_a_secret_of_common_words_hides_no_refusal_from_slipway(
    service: Service, secret: str
) -> None:
    """Else an environment with such a secret could never be deleted."""
    values = {"Parameters": [{"Name": PATH, "Value": secret}]}
    service._answers["get_parameters_by_path"] = lambda **request: values
    service._answers["describe_stacks"] = fails(refusal("ValidationError", "Stack does not exist"))

    with secret_inputs.hidden(ENVIRONMENT):
        assert stacks.find(ENVIRONMENT["id"]) is None


@pytest.mark.parametrize(
    "read",
    [
        lambda **request: {"Parameters": []},
        fails(refusal("AccessDeniedException", "no")),
    ],
    ids=["they are deleted", "they may not be read"],
)
def test_without_the_values_texts_are_withheld(service: Service, read: Callable[..., Any]) -> None:
    service._answers["get_parameters_by_path"] = read
    service._answers["describe_stacks"] = lambda **request: {"Stacks": [STACK]}

    with secret_inputs.hidden(ENVIRONMENT):
        found = aws.call("cloudformation", "describe_stacks", StackName="x")["Stacks"][0]

    assert found["StackStatus"] == "CREATE_FAILED"
    assert found["StackStatusReason"] == WITHHELD
    assert found["Outputs"] == [{"OutputKey": "Url", "OutputValue": WITHHELD}]


def test_a_fault_while_reading_the_values_is_a_fault(service: Service) -> None:
    service._answers["get_parameters_by_path"] = fails(refusal("ThrottlingException", "later"))
    service._answers["describe_stacks"] = lambda **request: {"Stacks": [STACK]}

    with secret_inputs.hidden(ENVIRONMENT), pytest.raises(DriverFault):
        aws.call("cloudformation", "describe_stacks", StackName="x")


def test_texts_that_nothing_has_been_said_of_are_withheld(service: Service) -> None:
    """So that code which forgets to name the environment shows too little instead of too much."""
    service._answers["describe_stacks"] = lambda **request: {"Stacks": [STACK]}
    service._answers["create_stack"] = fails(refusal("ValidationError", f"{SECRET} is bad"))

    found = aws.call("cloudformation", "describe_stacks", StackName="x")["Stacks"][0]
    with pytest.raises(DriverRefused) as raised:
        aws.call("cloudformation", "create_stack", StackName="x")

    assert found["StackStatusReason"] == WITHHELD
    assert str(raised.value) == f"ValidationError: {WITHHELD}"


def test_events_of_the_stack_itself_are_still_known_by_their_ids() -> None:
    event = {"StackId": "arn:x", "PhysicalResourceId": "arn:x", "ResourceStatusReason": "arn:x"}

    with redaction.hiding("", lambda: Masker(["arn:x"])):
        found = redaction.answer(event)

    assert stacks.is_of_the_stack(found)
    assert found["ResourceStatusReason"] == "****"
