"""Plans of environments: a stack under review, which is always deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from slipway import aws
from slipway.access.principal import Principal
from slipway.aws import template_bodies
from slipway.domain import timestamps
from slipway.domain.ids import ProjectId
from slipway.domain.plan import Plan
from slipway.domain.template import NewTemplate, Version
from slipway.errors import DriverFault, DriverRefused, Invalid, NameTaken, StoreUnavailable
from slipway.services import cleanup, environments, reconcile_schedule, templates
from slipway.store import table, wire
from slipway.store.table import Item, Key, Update
from tests.support.repository import ROOT, load_function
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation
from tests.support.store.review import Review

BODY = b"""
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true}
  ProjectName: {Type: String}
Resources:
  Jobs: {Type: AWS::SQS::Queue}
"""
PENDING = {"status": "pending", "reason": None, "changes": None}

Ask = Callable[..., Plan]


class Died(BaseException):
    pass


def dies() -> None:
    raise Died


def is_throttled() -> None:
    raise DriverFault("Throttling: Rate exceeded")


@pytest.fixture
def review(aws: None, monkeypatch: pytest.MonkeyPatch) -> Review:
    return Review().instead(monkeypatch)


@pytest.fixture
def ask(ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    templates.create(NewTemplate(name="web"), ann)
    templates.add_version("web", None, BODY, "application/yaml", ann)
    templates.publish("web", Version(1, 0), ann)

    def asked(name: str = "preview", **inputs: str) -> Plan:
        given = {"Password": "hunter22", **inputs}
        return environments.plan(project, world.wanted(name, template="web", inputs=given), ann)

    return asked


def change_set(plan: Plan) -> dict[str, Any]:
    assert plan.change_set
    return plan.change_set.model_dump()


def notes() -> list[Item]:
    found = map(wire.decode, world.everything())
    return [item for item in found if item["sk"].startswith(cleanup.PLAN)]


def reconcile(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """As if it were a long time later."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Slipway")
    for note in notes():
        change = Update(Key(note["pk"], note["sk"]), "SET due_at = :past", {"past": "2026"})
        table.write(change)
    reconcile_schedule.keep_awake()
    function = load_function(ROOT / "functions" / "events" / "reconcile")
    found: dict[str, int] = function.handler({}, None)
    return {name: found[name] for name in ("repaired", "failed")}


# --- how it ends ------------------------------------------------------------------------------


def test_a_plan_is_polled_until_it_ends_and_leaves_nothing(ask: Ask, review: Review) -> None:
    review.says = {"Status": "CREATE_IN_PROGRESS"}
    assert [change_set(ask()), change_set(ask())] == [PENDING, PENDING]
    [name] = review.made
    [note] = notes()
    in_an_hour = timestamps.now() + timedelta(hours=1)
    assert abs(datetime.fromisoformat(note["due_at"]) - in_an_hour) < timedelta(minutes=1)
    assert (review.calls.count("create_change_set"), note["stack"]) == (1, name)
    assert name.startswith("slipway-plan-")

    review.made[name] |= Review().says
    told = change_set(ask())

    assert told["status"] == "ready"
    assert [(each["action"], each["logical_id"]) for each in told["changes"]] == [("add", "Jobs")]
    assert (review.made, notes()) == ({}, [])
    assert "hunter22" not in str(world.everything())


def test_a_plan_that_failed_says_why_and_can_be_asked_for_again(ask: Ask, review: Review) -> None:
    review.says = {"Status": "FAILED", "StatusReason": "Transform failed"}
    failed = {"status": "failed", "reason": "Transform failed", "changes": None}

    assert [change_set(ask()), change_set(ask())] == [failed, failed]
    assert review.calls.count("create_change_set") == 2
    assert (review.made, notes()) == ({}, [])


def test_a_plan_that_cannot_be_made_says_why(ask: Ask, review: Review) -> None:
    def refused() -> None:
        raise DriverRefused("ValidationError: Template error")

    review.before["create_change_set"] = refused

    told = change_set(ask())

    assert (told["status"], told["reason"]) == ("failed", "ValidationError: Template error")
    assert (review.made, notes()) == ({}, [])


def test_a_plan_is_pending_while_the_previous_one_is_deleted(
    ask: Ask, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise DriverRefused("ValidationError: Stack is in DELETE_IN_PROGRESS state")

    review.before["create_change_set"] = refused
    going = {"Stacks": [{"StackStatus": "DELETE_IN_PROGRESS"}]}
    monkeypatch.setattr(review, "describe_stacks", lambda StackName: going)

    assert change_set(ask()) == PENDING
    assert change_set(ask())["status"] == "ready"


def test_a_different_request_is_a_different_plan(ask: Ask, review: Review) -> None:
    review.says = {"Status": "CREATE_IN_PROGRESS"}

    ask()
    ask(Password="hunter33")
    ask(Size="large")
    ask("other")

    assert len(review.made) == 3
    [first, *_] = review.requests
    given = {each["ParameterKey"]: each["ParameterValue"] for each in first["Parameters"]}
    assert given == {"Password": "hunter22", "ProjectName": "payments"}
    assert first["ChangeSetType"] == "CREATE"
    assert not {"RoleARN", "Tags"} & set(first)


def test_a_refused_request_makes_no_stack(
    ask: Ask, review: Review, ann: Principal, project: ProjectId
) -> None:
    world.environment(project, ann, "taken")
    before = world.everything()

    with pytest.raises(NameTaken):
        ask("taken")
    with pytest.raises(Invalid):
        ask(Size="huge")
    with pytest.raises(Invalid):
        environments.plan(project, world.wanted(ttl_hours=9999), ann)

    assert (review.calls, world.everything()) == ([], before)


def test_a_simulated_environment_has_no_change_set(
    ann: Principal, project: ProjectId, review: Review
) -> None:
    assert environments.plan(project, world.wanted(), ann).change_set is None
    assert review.calls == []


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["describe_change_set", "create_change_set"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_throttled_call_is_a_fault_and_the_next_try_succeeds(
    ask: Ask, review: Review, monkeypatch: pytest.MonkeyPatch, at: str, when: str
) -> None:
    getattr(review, when)[at] = is_throttled

    with pytest.raises(DriverFault, match="Rate exceeded"):
        ask()
    assert len(notes()) >= len(review.made)

    assert change_set(ask())["status"] == "ready"
    assert review.made == {}
    reconcile(monkeypatch)
    assert notes() == []


def test_a_plan_that_cannot_be_deleted_is_answered_and_deleted_later(
    ask: Ask, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    review.before["delete_stack"] = is_throttled

    assert change_set(ask())["status"] == "ready"
    assert (len(review.made), len(notes())) == (1, 1)

    assert reconcile(monkeypatch) == {"repaired": 1, "failed": 0}
    assert (review.made, notes()) == ({}, [])


@pytest.mark.parametrize(
    "when,at",
    [
        ("before", "create_change_set"),
        ("after", "create_change_set"),
        ("before", "delete_stack"),
        ("after", "delete_stack"),
    ],
)
def test_reconcile_deletes_plans_that_a_crash_left(
    ask: Ask, review: Review, monkeypatch: pytest.MonkeyPatch, when: str, at: str
) -> None:
    getattr(review, when)[at] = dies
    with pytest.raises(Died):
        ask()
    assert len(notes()) == 1

    # It dies there, too, and begins again.
    review.after["delete_stack"] = is_throttled
    assert reconcile(monkeypatch) == {"repaired": 0, "failed": 1}
    assert reconcile(monkeypatch) == {"repaired": 1, "failed": 0}
    assert reconcile(monkeypatch) == {"repaired": 0, "failed": 0}

    assert (review.made, notes()) == ({}, [])


def test_without_a_cleanup_record_no_stack_is_made(
    ask: Ask, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(action: table.Action) -> None:
        raise StoreUnavailable()

    monkeypatch.setattr(table, "write", fails)

    with pytest.raises(StoreUnavailable):
        ask()
    assert review.made == {}


# --- two at once ------------------------------------------------------------------------------


def test_two_simultaneous_requests_make_one_plan(
    ask: Ask, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    review.says = {"Status": "CREATE_IN_PROGRESS"}

    def another_asks() -> None:
        ask()

    review.before["create_change_set"] = another_asks

    assert change_set(ask()) == PENDING

    assert review.calls.count("create_change_set") == 2
    [name] = review.made
    assert {note["stack"] for note in notes()} == {name}
    review.made[name] |= Review().says
    assert change_set(ask())["status"] == "ready"
    # The other's note names nothing any more.
    assert reconcile(monkeypatch) == {"repaired": 1, "failed": 0}
    assert (review.made, notes()) == ({}, [])


def test_a_caller_deletes_only_the_plan_that_it_was_shown(ask: Ask, review: Review) -> None:
    def another_is_told_and_a_third_asks() -> None:
        ask()
        review.says = {"Status": "CREATE_IN_PROGRESS"}
        ask()

    review.before["delete_stack"] = another_is_told_and_a_third_asks

    assert change_set(ask())["status"] == "ready"

    [(name, made)] = review.made.items()
    assert made["Status"] == "CREATE_IN_PROGRESS"
    assert [note["stack"] for note in notes()] == [name]


# --- in the shapes of botocore's model --------------------------------------------------------


def test_the_calls_to_cloudformation_are_valid(ask: Ask) -> None:
    aws.client.cache_clear()
    stack_id = "arn:aws:cloudformation:eu-central-1:123456789012:stack/slipway-plan-1/1"
    with Stubber(aws.client("cloudformation")) as stubber:
        missing = ("ValidationError", "Stack [slipway-plan-1] does not exist")
        stubber.add_client_error("describe_change_set", *missing)
        one = {"StackName": ANY, "ChangeSetName": "plan"}
        asked = {
            "ChangeSetType": "CREATE",
            "Description": ANY,
            "TemplateURL": ANY,
            "Parameters": [
                {"ParameterKey": "Password", "ParameterValue": "hunter22"},
                {"ParameterKey": "ProjectName", "ParameterValue": "payments"},
            ],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
        stubber.add_response("create_change_set", {"StackId": stack_id}, {**one, **asked})
        for status in ("CREATE_PENDING", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
            found: dict[str, Any] = {"Status": status, "StackId": stack_id, "Changes": []}
            stubber.add_response("describe_change_set", found, one)
        stubber.add_response("delete_stack", {}, {"StackName": stack_id})

        told = [change_set(ask())["status"] for _ in range(3)]

        assert told == ["pending", "pending", "ready"]
        stubber.assert_no_pending_responses()
    aws.client.cache_clear()
