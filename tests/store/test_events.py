"""Events are derived from changes in the stream: each change has one event, and none is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain import ids, records
from slipway.domain.environment_requests import TeardownRetry
from slipway.domain.events import Event, Step
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.records import changed
from slipway.errors import Invalid, NotFound
from slipway.services import (
    environments,
    history,
    leases,
    rollout_queue,
    rollouts,
    teardowns,
)
from slipway.store import deployment_records, environment_records, event_records, table
from slipway.store.table import Key, Update
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")


def image(key: Key) -> dict[str, Any]:
    """The item as the stream would have it, empty if there is none."""
    return next((each for each in world.everything() if (each["pk"], each["sk"]) == wire(key)), {})


def wire(key: Key) -> tuple[Any, Any]:
    return key.wire()["pk"], key.wire()["sk"]


def noted(key: Key, change: Callable[[], object]) -> None:
    """The stream's records of a change of this record, delivered twice, as is allowed."""
    before = image(key)
    change()
    after = image(key)
    for _ in range(2):
        event_records.record(before, after)


def seen(environment: EnvironmentId, user_id: Principal) -> list[Event]:
    return list(history.events(environment, user_id, world.page(limit=100)))


def of_environment(
    environment: EnvironmentId, user_id: Principal, change: Callable[[], object]
) -> Event | None:
    known = {each.id for each in seen(environment, user_id)}
    noted(environment_records.key(environment), change)
    new = [each for each in seen(environment, user_id) if each.id not in known]
    assert len(new) <= 1
    return new[0] if new else None


def of_deployment(
    deployment: DeploymentId, user_id: Principal, change: Callable[[], object]
) -> Event | None:
    known = {each.id for each in seen(deployment.environment, user_id)}
    noted(deployment_records.key(deployment), change)
    new = [each for each in seen(deployment.environment, user_id) if each.id not in known]
    assert len(new) <= 1
    return new[0] if new else None


def said(event: Event | None) -> tuple[str, str | None, str | None, str, str | None] | None:
    if event is None:
        return None
    return event.action, event.from_, event.to, event.actor, event.reason


# --- of an environment ----------------------------------------------------------------------


def test_creating_an_environment_is_an_event(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann)
    item = environment_records.find(made)
    assert item

    event_records.record({}, image(environment_records.key(made)))

    [event] = seen(made, ann)
    assert said(event) == ("provisioning", None, "provisioning", ann.user_id, None)
    assert event.id == f"evt_{str(made)[4:]}_1"
    assert event.subject == str(made)
    assert event.model_dump(mode="json")["at"] == item["updated_at"]


@pytest.mark.parametrize("status", ["running", "failed", "expiring", "tearing_down"])
def test_a_change_of_status_is_an_event(ann: Principal, project: ProjectId, status: Any) -> None:
    made = world.environment(project, ann)
    failure = {"error": "X", "reason": "no room"}

    event = of_environment(
        made, ann, lambda: world.becomes(made, status, actor="a workflow", failure=failure)
    )

    # An earlier failure is not the reason for later changes.
    reason = "no room" if status == "failed" else None
    assert said(event) == (status, "provisioning", status, "a workflow", reason)


def test_a_teardown_that_failed_is_an_event_with_what_remains(
    ann: Principal, running: EnvironmentId
) -> None:
    failure = {"error": "X", "cause": '{"errorMessage": "no room"}', "step": "Retire"}
    change = {"failure": failure, "resources": {"service", "database"}}

    event = of_environment(
        running, ann, lambda: world.becomes(running, "teardown_failed", **change)
    )

    assert event
    assert event.reason == "no room (what remains: database, service)"


def test_a_pin_is_an_event_with_its_reason(ann: Principal, running: EnvironmentId) -> None:
    pinned = of_environment(running, ann, lambda: leases.pin(running, "demo on Friday", ann))
    unpinned = of_environment(running, ann, lambda: leases.unpin(running, ann))

    assert said(pinned) == ("pinned", "running", "running", ann.user_id, "demo on Friday")
    item = environment_records.find(running)
    assert item
    reason = f"expires at {item['expires_at']}"
    assert said(unpinned) == ("unpinned", "running", "running", ann.user_id, reason)


def test_an_extension_is_an_event_with_the_new_end(ann: Principal, running: EnvironmentId) -> None:
    event = of_environment(running, ann, lambda: leases.extend(running, 48, ann))

    item = environment_records.find(running)
    assert item
    reason = f"expires at {item['expires_at']}"
    assert said(event) == ("extended", "running", "running", ann.user_id, reason)


def test_a_version_that_goes_live_is_an_event(ann: Principal, running: EnvironmentId) -> None:
    deployment = deployment_records.find(world.deployment(running, ann, "v7"))
    assert deployment
    record = environment_records.after_rollout(deployment, {})
    why = {"actor": "dep_x", "action": record["action"], "reason": record["reason"]}

    event = of_environment(running, ann, lambda: world.becomes(running, "running", **why))

    assert said(event) == ("deployed", "running", "running", "dep_x", "v7 is live")


def test_an_update_that_is_in_place_is_an_event(ann: Principal, running: EnvironmentId) -> None:
    deployment = deployment_records.find(world.deployment(running, ann))
    assert deployment
    update = changed(deployment, {"kind": "update"})
    record = environment_records.after_rollout(update, {"template": "web@1.1"})
    why = {"actor": "dep_x", "action": record["action"], "reason": record["reason"]}

    event = of_environment(running, ann, lambda: world.becomes(running, "running", **why))

    assert said(event) == ("updated", "running", "running", "dep_x", "web@1.1 is in place")


def test_doubt_about_the_live_version_and_its_end_are_events(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    item = deployment_records.find(made)
    assert item

    doubted = of_environment(running, ann, lambda: rollouts.record_lost_execution(item, "ABORTED"))
    restored = of_environment(running, ann, lambda: environment_records.clear_doubt(made, "v6"))
    again = of_environment(running, ann, lambda: environment_records.clear_doubt(made, "v6"))

    reason = f"{made} could not be taken back"
    assert said(doubted) == ("live_in_doubt", "running", "running", "reconcile", reason)
    assert said(restored) == ("restored", "running", "running", str(made), "v6 is live again")
    assert again is None


def test_a_new_stack_and_new_outputs_are_events(ann: Principal, running: EnvironmentId) -> None:
    outputs = {"Url": "https://u", "Table": "t"}

    item = environment_records.find(running)
    assert item

    def has_stack() -> None:
        environment_records.record_stack(running, "arn", "x")

    def came_up() -> None:
        environment_records.record_outputs(item, outputs, "x")

    stack, none_again = (of_environment(running, ann, has_stack) for _ in range(2))
    assert said(stack) == ("stack_known", "running", "running", "x", None)
    assert none_again is None

    up, none_again = (of_environment(running, ann, came_up) for _ in range(2))
    assert said(up) == ("outputs_changed", "running", "running", "x", "outputs: Table, Url")
    assert none_again is None
    assert environments.get(running, ann).version == item["version"] + 2


def test_a_retry_that_is_planned_is_an_event(ann: Principal, running: EnvironmentId) -> None:
    world.becomes(running, "teardown_failed", failure={"error": "X", "reason": "no room"})
    item = environment_records.find(running)
    assert item

    event = of_environment(running, ann, lambda: teardowns.plan_retry(item, "dispatch"))
    retried = of_environment(running, ann, lambda: teardowns.request_retry(running, ann))

    planned = environment_records.find(running)
    assert planned and event and event.reason and retried
    assert event.reason.startswith("tried again at 2")
    assert said(event) == (
        *("retry_planned", "teardown_failed", "teardown_failed", "dispatch"),
        event.reason,
    )
    assert said(retried) == ("tearing_down", "teardown_failed", "tearing_down", ann.user_id, None)


def test_a_warning_of_the_end_is_an_event_with_the_end(ann: Principal) -> None:
    project = world.project(ann, policy={"warn_before_hours": [2, 1]})
    made = world.environment(project, ann)
    item = environment_records.find(made)
    assert item
    past = changed(item, {"warn_at": ["2026-11-23T01:02:03.456Z", item["warn_at"][1]]})
    table.write(table.Put(environment_records.key(made), past, condition=None))

    event = of_environment(made, ann, lambda: leases.warn(past, "expire_environment"))

    reason = f"expires at {item['expires_at']}"
    told = ("expiry_warning", "provisioning", "provisioning", "expire_environment", reason)
    assert said(event) == told


def test_an_extension_that_changes_the_warnings_is_not_a_warning(ann: Principal) -> None:
    made = world.environment(world.project(ann, policy={"warn_before_hours": [2]}), ann)

    event = of_environment(made, ann, lambda: leases.extend(made, 48, ann))

    assert event and event.action == "extended"


def test_a_workflow_that_begins_is_an_event(ann: Principal, running: EnvironmentId) -> None:
    teardowns.begin(running, ann, None)

    event = of_environment(
        running, ann, lambda: world.becomes(running, "tearing_down", actor="retire_environment")
    )

    assert event
    assert (event.action, event.reason) == ("started", "retire_environment has begun")


@pytest.mark.parametrize(
    "status,actor",
    [
        ("running", "provision_environment"),
        ("failed", "provision_environment"),
        ("tearing_down", "retire_environment"),
        ("teardown_failed", "retire_environment"),
    ],
)
def test_a_repeated_write_is_an_event_of_its_own_kind(
    ann: Principal, running: EnvironmentId, status: Any, actor: str
) -> None:
    # A retry does not enter its state again.
    entered_at = "2026-11-23T01:02:03.456Z"
    world.becomes(running, status, actor=actor, updated_at=entered_at)

    event = of_environment(
        running, ann, lambda: world.becomes(running, status, actor=actor, updated_at=entered_at)
    )

    reason = f"{actor} wrote it again because no answer arrived"
    assert said(event) == ("repeated", status, status, actor, reason)


def test_a_repeated_write_is_recognized_after_another_change(
    ann: Principal, running: EnvironmentId
) -> None:
    failure = {"error": "X", "reason": "no room"}
    fields = {"actor": "retire_environment", "updated_at": "2026-11-23T01:02:03.456Z"}
    world.becomes(running, "teardown_failed", **fields, failure=failure)
    item = environment_records.find(running)
    assert item and teardowns.plan_retry(item, "dispatch")

    event = of_environment(
        running, ann, lambda: world.becomes(running, "teardown_failed", **fields)
    )

    assert event and event.action == "repeated"


@pytest.mark.parametrize(
    "to,fields,action,reason",
    [
        ("expiring", {}, "expiring", None),
        ("running", {"warn_at": ["2026-11-23T01:02:03.456Z"]}, "expiry_warning", "expires at {}"),
        ("running", {"live_deployment_id": "dep_x"}, "deployed", None),
    ],
)
def test_a_write_of_an_earlier_release_has_an_event_with_its_actor(
    ann: Principal,
    running: EnvironmentId,
    to: Any,
    fields: dict[str, Any],
    action: str,
    reason: str | None,
) -> None:
    item = environment_records.find(running)
    assert item
    written = changed(
        item,
        {**fields, "status": to, "actor": "expire_environment", "version": 3, "updated_at": "9"},
    )
    write = table.Put(environment_records.key(running), written, condition=None)
    before = image(environment_records.key(running))
    table.write(write)
    after = image(environment_records.key(running))

    event_records.record(before, {**after, "updated_at": {"S": "2026-11-23T01:02:03.456Z"}})

    [event] = [each for each in seen(running, ann) if each.id.endswith("_3")]
    expires = f"expires at {item['expires_at']}" if reason else None
    assert said(event) == (action, "running", to, "expire_environment", expires)


def test_a_lost_execution_of_a_teardown_is_an_event(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann)
    teardowns.begin(made, ann, None)
    item = environment_records.find(made)
    assert item

    event = of_environment(
        made, ann, lambda: environment_records.record_lost_execution(item, "ABORTED")
    )

    reason = "Its execution has ABORTED unrecorded"
    assert said(event) == ("released", "tearing_down", "tearing_down", "reconcile", reason)


def test_forgetting_is_an_event_that_lists_what_remains(
    ann: Principal, running: EnvironmentId
) -> None:
    failure = {"error": "X", "reason": "the bucket is not empty"}
    world.becomes(running, "teardown_failed", failure=failure)

    event = of_environment(running, ann, lambda: teardowns.forget(running, ann, None))

    reason = "What remains: the bucket is not empty"
    assert said(event) == ("forgotten", "teardown_failed", "destroyed", ann.user_id, reason)


def test_retained_resources_are_in_the_events_of_the_retry_and_of_the_end(
    ann: Principal, running: EnvironmentId
) -> None:
    data = "Data (AWS::S3::Bucket, data-1)"
    failure = {"error": "X", "reason": "the bucket is not empty"}
    world.becomes(running, "teardown_failed", remains={f"stack: {data}"}, failure=failure)
    wanted = TeardownRetry(retain=["Data"])

    asked = of_environment(running, ann, lambda: teardowns.request_retry(running, ann, wanted))
    gone = of_environment(running, ann, lambda: world.is_destroyed(running))

    reason = f"What is retained: {data}"
    assert said(asked) == ("tearing_down", "teardown_failed", "tearing_down", ann.user_id, reason)
    assert said(gone) == ("destroyed", "tearing_down", "destroyed", "a workflow", reason)


def test_a_change_of_internal_fields_is_not_an_event(
    ann: Principal, running: EnvironmentId
) -> None:
    change = Update(environment_records.key(running), "SET nudged_at = :x", {"x": "now"})

    assert of_environment(running, ann, lambda: table.write(change)) is None


# --- of a deployment ------------------------------------------------------------------------


def test_a_deployment_has_events_from_its_beginning_to_its_end(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann, "v7")
    event_records.record({}, image(deployment_records.key(made)))
    rollouts.acquire_next(running)
    began = of_deployment(made, ann, lambda: world.begins(made))
    ended = of_deployment(made, ann, lambda: world.succeeds(made))

    *_, asked = seen(running, ann)
    assert said(asked) == ("deployment_pending", None, "pending", ann.user_id, "v7")
    assert said(began) == ("deployment_running", "pending", "running", str(made), "v7")
    assert said(ended) == ("deployment_succeeded", "running", "succeeded", str(made), "v7")
    assert ended and ended.id == f"evt_{str(made)[4:]}_succeeded"


def test_the_event_of_a_failed_deployment_has_the_reason(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    item = deployment_records.find(made)
    assert item

    event = of_deployment(made, ann, lambda: rollouts.record_lost_execution(item, "ABORTED"))

    reason = "Its execution has ABORTED unrecorded"
    assert said(event) == ("deployment_failed", "running", "failed", str(made), reason)


def test_the_user_who_cancels_is_the_actor(ann: Principal, running: EnvironmentId) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    rollout_queue.cancel(made, ann)
    at = "2026-11-23T01:02:03.456Z"
    change = Update(
        deployment_records.key(made),
        "SET #status = :canceled, finished_at = :at, failure = :failure, change = :why",
        {
            "canceled": "canceled",
            "at": at,
            "failure": {"error": "Canceled", "reason": "ann canceled it"},
            "why": records.change("deployment_canceled", str(made), at),
        },
    )

    event = of_deployment(made, ann, lambda: table.write(change))

    assert event
    assert (event.action, event.actor) == ("deployment_canceled", ann.user_id)


def test_a_user_who_canceled_is_not_the_actor_if_the_teardown_ended_the_rollout(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    rollout_queue.cancel(made, ann)

    event = of_deployment(made, ann, lambda: rollout_queue.cancel_all(running, "It is gone"))

    reason = "It is gone"
    assert said(event) == ("deployment_canceled", "running", "canceled", str(made), reason)


def test_a_rollout_of_an_earlier_release_has_an_event_made_from_its_record(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann, "v7")
    at = "2026-11-23T01:02:03.456Z"
    change = Update(
        deployment_records.key(made),
        "SET #status = :running, started_at = :at",
        {"running": "running", "at": at},
    )

    event = of_deployment(made, ann, lambda: table.write(change))

    assert said(event) == ("deployment_running", "pending", "running", str(made), "v7")
    assert event and event.model_dump(mode="json")["at"] == at


def test_a_fencing_token_or_a_request_to_stop_is_not_an_event(
    ann: Principal, running: EnvironmentId
) -> None:
    made = world.deployment(running, ann)

    assert of_deployment(made, ann, lambda: rollouts.acquire_next(running)) is None
    assert of_deployment(made, ann, lambda: rollout_queue.cancel(made, ann)) is None


# --- reading them ---------------------------------------------------------------------------


def many(environment: EnvironmentId, count: int) -> None:
    for n in range(count):
        noted(
            environment_records.key(environment),
            lambda n=n: world.becomes(  # type: ignore[misc]
                environment,
                "running",
                action="extended",
                updated_at=f"2026-11-23T01:00:0{n}.000Z",
            ),
        )


def test_events_are_read_newest_first(ann: Principal, running: EnvironmentId) -> None:
    many(running, 5)

    moments = [each.at for each in seen(running, ann)]

    assert len(moments) == 5
    assert moments == sorted(moments, reverse=True)


def test_events_are_read_page_by_page(ann: Principal, running: EnvironmentId) -> None:
    many(running, 5)
    found: list[str] = []
    cursor = None

    for _ in range(3):
        page = history.events(running, ann, world.page(limit=2, cursor=cursor))
        found += [each.id for each in page]
        cursor = page.cursor

    assert cursor is None
    assert found == [each.id for each in seen(running, ann)]


def test_a_cursor_of_another_list_is_refused(ann: Principal, running: EnvironmentId) -> None:
    for _ in range(3):
        world.deployment(running, ann)
    cursor = world.deployments(running, ann, limit=1).cursor

    with pytest.raises(Invalid):
        history.events(running, ann, world.page(cursor=cursor))


def test_only_members_read_the_events(bob: Principal, running: EnvironmentId) -> None:
    with pytest.raises(NotFound):
        history.events(running, bob, world.page())


def test_an_event_that_cannot_be_written_raises(
    running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = image(environment_records.key(running))
    between.no_sleep(monkeypatch)
    between.fails(monkeypatch, "PutItem", between.error("InternalServerError"))

    with pytest.raises(Exception, match="stubbed"):
        event_records.record({}, after)


# --- the timeline ---------------------------------------------------------------------------

STEPS = [
    {
        "step": "Ship",
        "entered_at": "2026-11-23T01:02:03.000Z",
        "left_at": "2026-11-23T01:02:05.500Z",
        "attempts": 2,
        "error": "DriverFault",
    },
    {"step": "Shipped", "entered_at": "2026-11-23T01:02:05.500Z", "attempts": 0},
]


def ended(ann: Principal, running: EnvironmentId) -> tuple[DeploymentId, Any]:
    made = world.deployment(running, ann)
    rollouts.acquire_next(running)
    world.begins(made)
    world.succeeds(made)
    item = deployment_records.find(made)
    assert item
    return made, {**item, "finished_at": "2026-11-23T01:02:06.000Z"}


def test_the_timeline_of_a_rollout_is_kept(ann: Principal, running: EnvironmentId) -> None:
    made, item = ended(ann, running)

    event_records.keep_timeline(item, STEPS)

    ship, shipped = history.timeline(made, ann)
    assert (ship.step, ship.attempts, ship.error, ship.seconds) == ("Ship", 2, "DriverFault", 2.5)
    assert (shipped.step, shipped.seconds, shipped.error) == ("Shipped", 0.5, None)


def test_a_timeline_is_kept_once(ann: Principal, running: EnvironmentId) -> None:
    made, item = ended(ann, running)
    event_records.keep_timeline(item, STEPS)
    before = world.everything()

    event_records.keep_timeline(item, STEPS[:1])

    assert world.everything() == before
    assert len(history.timeline(made, ann)) == 2


def test_an_execution_without_history_leaves_no_timeline(
    ann: Principal, running: EnvironmentId
) -> None:
    made, item = ended(ann, running)
    before = world.everything()

    event_records.keep_timeline(item, [])

    assert world.everything() == before
    assert history.timeline(made, ann) == []


def test_a_step_that_has_not_ended_has_no_duration() -> None:

    step = Step.model_validate({**STEPS[1]})

    assert step.seconds is None


def test_only_members_read_a_timeline(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    made, _ = ended(ann, running)

    with pytest.raises(NotFound):
        history.timeline(made, bob)
    with pytest.raises(NotFound):
        history.timeline(ids.parse_deployment(f"dep_{'0' * 20}_{'0' * 20}_{'0' * 20}"), ann)
