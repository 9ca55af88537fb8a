"""Drift detection, with answers in the shapes that botocore's model requires."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from slipway import aws
from slipway.domain import scope
from slipway.domain.ids import EnvironmentId
from slipway.store import drift_records, table
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.store import world

LOOK = "0f1e2d3c-0000-4000-8000-123456789abc"
T0 = dt.datetime(2026, 11, 23, 1, 0, tzinfo=dt.UTC)
BUSY = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"]
BROKEN = ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_FAILED", "REVIEW_IN_PROGRESS"]


def minutes(n: int) -> dt.datetime:
    return T0 + dt.timedelta(minutes=n)


class Recorded:
    """CloudFormation, and what it is to answer, call by call."""

    def __init__(self, stubber: Stubber, environment: EnvironmentId) -> None:
        self.stubber = stubber
        self.name = f"slipway-env-{scope.stack_suffix(str(environment))}"
        self.arn = f"arn:aws:cloudformation:eu-central-1:123456789012:stack/{self.name}/1"

    def begins(self, look: str = LOOK) -> None:
        answer = {"StackDriftDetectionId": look}
        self.stubber.add_response("detect_stack_drift", answer, {"StackName": self.name})

    def refuses(self, method: str, message: str, code: str = "ValidationError") -> None:
        self.stubber.add_client_error(method, code, message)

    def is_(self, status: str = "CREATE_COMPLETE", drift: Any = None, **more: Any) -> None:
        stack = {"StackName": self.name, "StackId": self.arn, "CreationTime": T0, **more}
        told = {"DriftInformation": drift or {"StackDriftStatus": "NOT_CHECKED"}}
        answer = {"Stacks": [{**stack, "StackStatus": status, **told}]}
        self.stubber.add_response("describe_stacks", answer, {"StackName": self.name})

    def look_is(self, status: str, found: str = "NOT_CHECKED", at: int = 5, **more: Any) -> None:
        answer = {
            "StackId": self.arn,
            "StackDriftDetectionId": LOOK,
            "DetectionStatus": status,
            "StackDriftStatus": found,
            "Timestamp": minutes(at),
            **more,
        }
        known = {"StackDriftDetectionId": LOOK}
        self.stubber.add_response("describe_stack_drift_detection_status", answer, known)

    def found(self, *resources: Any) -> None:
        """A page each."""
        for n, each in enumerate(resources or ([],)):
            known = {"StackName": self.name} | ({"NextToken": f"{n}"} if n else {})
            answer = {"StackResourceDrifts": each} | (
                {"NextToken": f"{n + 1}"} if n + 1 < len(resources) else {}
            )
            self.stubber.add_response("describe_stack_resource_drifts", answer, known)

    def resource(self, name: str, status: str, **more: Any) -> dict[str, Any]:
        return {
            "StackId": self.arn,
            "LogicalResourceId": name,
            "PhysicalResourceId": f"{name}-1",
            "ResourceType": "AWS::SQS::Queue",
            "StackResourceDriftStatus": status,
            "Timestamp": minutes(5),
            **more,
        }


CHANGED = {
    "PropertyPath": "/VisibilityTimeout",
    "ExpectedValue": "30",
    "ActualValue": "5",
    "DifferenceType": "NOT_EQUAL",
}


@pytest.fixture
def stack(environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """That of an environment which runs, as a stack."""
    world.becomes(environment, "running", driver="cloudformation")
    client, others = boto3.client("cloudformation"), boto3.client
    monkeypatch.setattr(
        aws, "client", lambda service: client if service == "cloudformation" else others(service)
    )
    with Stubber(client) as stubber:
        yield Recorded(stubber, environment)
        stubber.assert_no_pending_responses()


@pytest.fixture
def here(environment: EnvironmentId) -> str:
    return f"/api/v1/environments/{environment}/drift"


def test_drift_is_unknown_before_the_first_detection(
    ann: Client, stack: Recorded, here: str
) -> None:
    stack.is_()
    stack.found()

    told: dict[str, Any] = {
        "status": "not_checked",
        "checked_at": None,
        "reason": None,
        "resources": [],
    }
    assert ann.get(here).json == told


def test_a_detection_is_started_and_its_result_is_shown(
    ann: Client, stack: Recorded, here: str
) -> None:
    stack.begins()
    begun = ann.post(here)
    stack.is_()
    stack.look_is("DETECTION_IN_PROGRESS")
    stack.found()
    meanwhile = ann.get(here)
    last = {"StackDriftStatus": "DRIFTED", "LastCheckTimestamp": minutes(5)}
    stack.is_(drift=last)
    stack.look_is("DETECTION_COMPLETE", "DRIFTED")
    jobs = stack.resource("Jobs", "MODIFIED", PropertyDifferences=[CHANGED])
    stack.found([jobs], [stack.resource("Old", "DELETED"), stack.resource("Topic", "IN_SYNC")])
    after = ann.get(here)

    assert (begun.status, begun.json["status"]) == (202, "checking")
    assert (meanwhile.json["status"], meanwhile.json["checked_at"]) == ("checking", None)
    assert after.json["status"] == "drifted"
    assert after.json["checked_at"] == "2026-11-23T01:05:00.000Z"
    assert [(each["logical_id"], each["status"]) for each in after.json["resources"]] == [
        ("Jobs", "MODIFIED"),
        ("Old", "DELETED"),
        ("Topic", "IN_SYNC"),
    ]
    [difference] = after.json["resources"][0]["differences"]
    assert difference == {
        "path": "/VisibilityTimeout",
        "expected": "30",
        "actual": "5",
        "type": "NOT_EQUAL",
    }


def test_values_that_might_be_secrets_are_not_shown(
    ann: Client, stack: Recorded, here: str, environment: EnvironmentId
) -> None:
    world.becomes(environment, "running", secret_inputs=["Password"])
    stack.is_()
    stack.found([stack.resource("Jobs", "MODIFIED", PropertyDifferences=[CHANGED])])

    [resource] = ann.get(here).json["resources"]
    [difference] = resource["differences"]
    assert difference["path"] == "/VisibilityTimeout"
    assert (difference["expected"], difference["actual"]) == ("****", "****")


def test_a_detection_during_another_one_is_accepted(
    ann: Client, stack: Recorded, here: str, environment: EnvironmentId
) -> None:
    stack.begins()
    stack.refuses(
        "detect_stack_drift", f"Drift detection is already in progress for stack [{stack.arn}]"
    )

    first, second = ann.post(here), ann.post(here)

    assert (first.status, second.status) == (202, 202)
    assert second.json["status"] == "checking"
    assert table.get(drift_records.key(environment))[0]["detection"] == LOOK


def test_a_detection_whose_id_was_lost_is_shown_when_it_has_ended(
    ann: Client, stack: Recorded, here: str
) -> None:
    stack.refuses("detect_stack_drift", "Drift detection is already in progress for stack [x]")
    assert ann.post(here).json["status"] == "checking"
    stack.is_(drift={"StackDriftStatus": "IN_SYNC", "LastCheckTimestamp": minutes(5)})
    stack.found()

    assert ann.get(here).json["status"] == "in_sync"


@pytest.mark.parametrize(
    ("found", "status"), [("UNKNOWN", "failed"), ("IN_SYNC", "failed"), ("DRIFTED", "drifted")]
)
def test_resources_that_could_not_be_checked_are_reported(
    ann: Client, stack: Recorded, here: str, found: str, status: str
) -> None:
    stack.begins()
    ann.post(here)
    stack.is_()
    why = "Failed to detect drift on resources [Jobs]"
    stack.look_is("DETECTION_FAILED", found, DetectionStatusReason=why)
    denied = "not authorized to perform: sqs:GetQueueAttributes"
    stack.found([stack.resource("Jobs", "UNKNOWN", DriftStatusReason=denied)])

    shown = ann.get(here).json

    assert (shown["status"], shown["reason"]) == (status, why)
    assert shown["resources"][0]["reason"] == denied


@pytest.mark.parametrize("later", ["looked", "updated", "forgotten"])
def test_a_later_detection_or_update_replaces_the_result(
    ann: Client, stack: Recorded, here: str, later: str
) -> None:
    stack.begins()
    ann.post(here)
    if later == "looked":
        stack.is_(drift={"StackDriftStatus": "IN_SYNC", "LastCheckTimestamp": minutes(9)})
    elif later == "updated":
        stack.is_("UPDATE_COMPLETE", LastUpdatedTime=minutes(9))
    else:
        stack.is_(drift={"StackDriftStatus": "IN_SYNC", "LastCheckTimestamp": minutes(5)})
    if later == "forgotten":
        stack.refuses("describe_stack_drift_detection_status", "There is no such detection")
    else:
        stack.look_is("DETECTION_COMPLETE", "DRIFTED")
    stack.found()

    expected = {"looked": "in_sync", "updated": "not_checked", "forgotten": "in_sync"}
    assert ann.get(here).json["status"] == expected[later]


def test_an_older_detection_does_not_replace_a_newer_one(
    stack: Recorded, environment: EnvironmentId
) -> None:
    drift_records.record_start(environment, "second", minutes(2))
    drift_records.record_start(environment, "first", minutes(1))

    assert table.get(drift_records.key(environment))[0]["detection"] == "second"


@pytest.mark.parametrize("status", [*BUSY, *BROKEN])
def test_drift_is_not_detected_in_an_incomplete_stack(
    ann: Client, stack: Recorded, here: str, status: str
) -> None:
    stack.refuses("detect_stack_drift", f"Stack [x] is in {status} state")
    stack.is_(status)

    with nothing_changes():
        refused = ann.post(here)
    assert_refused(refused, 409, "stack_not_ready")
    assert refused.json["stack_status"] == status


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_drift_is_not_detected_in_a_destroyed_environment(
    ann: Client, stack: Recorded, here: str, method: str
) -> None:
    if method == "POST":
        stack.refuses("detect_stack_drift", "Stack [x] does not exist")
    stack.refuses("describe_stacks", "Stack with id x does not exist")

    with nothing_changes():
        assert_refused(ann.send(method, here), 409, "no_stack")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_simulated_environment_has_no_drift(ann: Client, here: str, method: str) -> None:
    with nothing_changes():
        assert_refused(ann.send(method, here), 409, "no_stack")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_environment_of_another_user_is_not_found(
    bob: Client, stack: Recorded, here: str, method: str
) -> None:
    with nothing_changes():
        assert_refused(bob.send(method, here), 404, "not_found")


@pytest.mark.parametrize("code", ["Throttling", "AccessDenied"])
def test_a_cloudformation_that_does_not_answer_is_a_temporary_fault(
    ann: Client, stack: Recorded, here: str, code: str
) -> None:
    stack.refuses("detect_stack_drift", "not now", code)
    if code == "AccessDenied":
        stack.is_()
    posted = ann.post(here)
    stack.refuses("describe_stacks", "not now", code)
    shown = ann.get(here)

    assert_refused(posted, 503, "driver_fault")
    assert_refused(shown, 503, "driver_fault")
