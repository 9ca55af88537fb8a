"""Updates of environments: which are accepted, what each one changes in its turn, its secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from slipway import aws
from slipway.access.principal import Principal
from slipway.aws import secret_inputs, template_bodies
from slipway.domain.deployment import Deployment, NewDeployment
from slipway.domain.environment import MASK
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId, parse_deployment
from slipway.domain.inputs import MAX_BYTES_TOGETHER
from slipway.domain.template import NewTemplate, Version
from slipway.domain.template_parameters import MAX_SECRETS
from slipway.domain.update import EnvironmentUpdate
from slipway.errors import (
    DriverFault,
    DriverRefused,
    EnvironmentNotReady,
    Invalid,
    NoTemplate,
    NotFound,
    QueueBusy,
    StoreUnavailable,
)
from slipway.services import (
    cleanup,
    deployments,
    environments,
    queues,
    rollout_queue,
    rollouts,
    templates,
    updates,
)
from slipway.settings import settings
from slipway.store import (
    deployment_records,
    environment_records,
    idempotency,
    table,
    wire,
)
from slipway.store.table import Item
from tests.support.store import between, world
from tests.support.store.cloudformation import CloudFormation

pytestmark = pytest.mark.usefixtures("aws")

PARAMETERS: dict[str, Any] = {
    "Version": {"Type": "String", "Default": "none"},
    "Size": {"Type": "String", "AllowedValues": ["small", "large"], "Default": "small"},
    "Zones": {"Type": "CommaDelimitedList", "Default": "a"},
    "Key": {"Type": "String", "Default": ""},
    "Password": {"Type": "String", "NoEcho": True, "MinLength": 8},
}
# Each version's additions and replacements.
VERSIONS: dict[str, dict[str, Any]] = {
    "1.0": {},
    "1.1": {"Region": {"Type": "String"}, "Zones": None},
    "1.2": {"Size": {"Type": "String", "AllowedValues": ["large", "huge"], "Default": "huge"}},
    "1.3": {"Key": {"Type": "String", "NoEcho": True, "Default": "none"}},
    "1.4": {"Password": {"Type": "String", "Default": "none"}},
}
# The most bytes that a state of Step Functions may hold.
_STATE = 262_144
INPUTS = {"Size": "small", "Zones": ["a", "b"], "Key": "k1", "Password": "hunter22"}


@pytest.fixture(autouse=True)
def versions(ann: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    """All published, of a template of ann's."""
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    templates.create(NewTemplate(name="web"), ann)
    for number, more in VERSIONS.items():
        declared = {name: each for name, each in {**PARAMETERS, **more}.items() if each}
        resources = {"Jobs": {"Type": "AWS::SQS::Queue"}}
        body = json.dumps({"Parameters": declared, "Resources": resources}).encode()
        templates.add_version("web", Version.parse(number), body, "application/json", ann)
        templates.publish("web", Version.parse(number), ann)


@pytest.fixture
def web(ann: Principal, project: ProjectId) -> EnvironmentId:
    """An environment that runs, of version 1.0."""
    made = world.environment(project, ann, "web", template="web@1.0", inputs=INPUTS)
    world.comes_up(made)
    return made


Ask = Callable[..., Deployment]


@pytest.fixture
def ask(ann: Principal, web: EnvironmentId) -> Ask:
    return lambda **wanted: updates.request(web, EnvironmentUpdate.model_validate(wanted), ann)


def found(environment: EnvironmentId) -> Any:
    item = environment_records.find(environment)
    assert item
    return item


def turn_of(update: Deployment) -> tuple[DeploymentId, Item]:
    """It is given the lock; what it then makes of the environment."""
    deployment = parse_deployment(update.id)
    given = rollouts.acquire_next(deployment.environment)
    assert given and given["id"] == update.id
    return deployment, updates.updated_fields(given, found(deployment.environment))


def carried_out(update: Deployment) -> Any:
    """It is in place, and the lock is free; the environment's record."""
    deployment, fields = turn_of(update)
    world.begins(deployment)
    live, values = table.setting({**fields, "live_deployment_id": update.id})
    table.write(table.Update(environment_records.key(deployment.environment), live, values))
    world.succeeds(deployment)
    return found(deployment.environment)


def stored() -> dict[str, str]:
    client = boto3.client("ssm")
    every = client.get_parameters_by_path(Path="/slipway", Recursive=True, WithDecryption=True)
    return {each["Name"]: each["Value"] for each in every["Parameters"]}


def secrets() -> dict[str, str]:
    """By what follows the environment's id, an update's own part of it as `*`."""
    names = {name.split("/", 4)[4]: value for name, value in stored().items()}
    return {f"*/{n.partition('/')[2]}" if "/" in n else n: value for n, value in names.items()}


def refused(ask: Ask, **wanted: Any) -> dict[str, str]:
    """The error of each; nothing was changed."""
    before = (world.everything(), secrets())
    with pytest.raises(Invalid) as error:
        ask(**wanted)
    assert (world.everything(), secrets()) == before
    return {each.pointer: each.detail for each in error.value.fields}


def test_an_update_waits_in_the_queue_and_describes_its_change(
    ann: Principal, web: EnvironmentId, ask: Ask
) -> None:
    made = ask(template="web@1.1", inputs={"Region": "eu", "Size": None})

    assert (made.status, made.version, made.template) == ("pending", None, "web@1.1")
    assert made.inputs == {"Region": "eu", "Size": None}
    assert queues.list_(web, ann) == [made] == [deployments.get(parse_deployment(made.id), ann)]
    assert found(web)["template"] == "web@1.0"
    record = carried_out(made)
    shown = environment_records.to_model(record)
    assert (shown.template, record["last_update_id"]) == ("web@1.1", made.id)
    assert shown.inputs == {"Region": "eu", "Key": "k1", "Password": "****"}
    assert record["template_key"].startswith("templates/web/1.1/")
    assert record["parameters"] == ["Version", "Size", "Key", "Password", "Region"]


@pytest.mark.parametrize(
    "text,version", [("web", "1.4"), ("web@1", "1.4"), ("web@1.2", "1.2"), ("web@1.0", "1.0")]
)
def test_an_accepted_update_names_the_exact_version(
    ann: Principal, ask: Ask, text: str, version: str
) -> None:
    inputs = {"Size": "large", "Password": "hunter33"}

    assert ask(template=text, inputs=inputs).template == f"web@{version}"


def test_an_update_may_name_an_older_version(ask: Ask) -> None:
    carried_out(ask(template="web@1.3"))

    back = ask(template="web@1.0", inputs={"Key": "k2"})

    assert json.loads(carried_out(back)["inputs"])["Key"] == "k2"


def test_waiting_updates_add_up(web: EnvironmentId, ask: Ask) -> None:
    first = ask(template="web@1.1", inputs={"Region": "eu"})
    second = ask(inputs={"Size": "large"})
    third = ask(inputs={"Key": None})

    for each in (first, second):
        carried_out(each)
    record = carried_out(third)

    assert record["template"] == "web@1.1"
    assert json.loads(record["inputs"]) == {"Region": "eu", "Size": "large"}


@pytest.mark.parametrize(
    "first,second,reason",
    [
        ({"template": "web@1.1", "inputs": {"Region": "eu"}}, {"Zones": ["c"]}, "#/inputs/Zones"),
        ({"template": "web@1.2", "inputs": {"Size": None}}, {"Size": "small"}, "#/inputs/Size"),
        ({"template": "web@1.3"}, {"Key": "k2"}, "#/inputs/Key: has become a secret"),
        (
            {"template": "web@1.4", "inputs": {"Password": "hunter33"}},
            {"Password": "hunter44"},
            "#/inputs/Password: was a secret",
        ),
    ],
)
def test_an_update_that_no_longer_fits_is_refused_in_its_turn(
    ask: Ask, first: dict[str, Any], second: dict[str, Any], reason: str
) -> None:
    made = [ask(**first), ask(inputs=second)]
    before = carried_out(made[0])

    with pytest.raises(
        DriverRefused, match=f"^The update does not fit {before['template']}: {reason}"
    ):
        turn_of(made[1])


def test_an_update_keeps_the_live_version(ann: Principal, web: EnvironmentId, ask: Ask) -> None:
    live = {"live_version": "v7", "live_artifact": "s3://builds/v7.zip", "live_order": 7}
    world.becomes(web, "running", live_deployment_id="dep_1", **live)

    made = ask(inputs={"Size": "large"})
    deployment, _ = turn_of(made)

    item = deployment_records.find(deployment)
    assert item
    record = environment_records.after_rollout(item, {})
    assert record["set"] == {
        "live_version": {"S": "v7"},
        "live_artifact": {"S": "s3://builds/v7.zip"},
        "live_order": {"N": "7"},
        "live_by": {"M": {"id": {"S": ann.user_id}, "kind": {"S": "user"}}},
    }
    assert rollouts.execution_input(item)["brings"] == "a change of inputs"
    shown = deployments.get(deployment, ann)
    assert (shown.version, shown.sequence) == ("v7", 7)


def test_a_version_that_goes_live_meanwhile_is_kept(
    ann: Principal, web: EnvironmentId, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ask(inputs={})
    live = {"live_version": "v2", "live_deployment_id": "dep_2"}
    between.first(monkeypatch, "TransactWriteItems", lambda: world.becomes(web, "running", **live))

    given = [rollouts.acquire_next(web), rollouts.acquire_next(web)]

    assert given[0] is None
    assert given[1] and (given[1]["id"], given[1]["version"]) == (made.id, "v2")


def test_a_deployment_never_supersedes_an_update(
    ann: Principal, web: EnvironmentId, ask: Ask
) -> None:
    runs = ask(inputs={"Size": "large"})
    turn_of(runs)
    world.begins(parse_deployment(runs.id))
    world.deployment(web, ann, "v1")
    waits = ask(inputs={"Size": None})
    newer = rollout_queue.enqueue(
        web, NewDeployment(version="v2", on_conflict="cancel_running"), ann
    )

    rollout_queue.make_way(parse_deployment(newer.id))

    assert [each.id for each in queues.list_(web, ann)] == [runs.id, waits.id, newer.id]
    assert queues.list_(web, ann)[0].cancel_requested_at is None


@pytest.mark.parametrize("of_the_environment", [True, False])
def test_a_rejecting_update_is_refused_behind_another(
    ann: Principal, project: ProjectId, of_the_environment: bool
) -> None:
    mode = "reject" if of_the_environment else "supersede"
    where = world.environment(
        project, ann, "r", template="web@1.0", inputs=INPUTS, on_conflict=mode
    )
    own = {} if of_the_environment else {"on_conflict": "reject"}
    wanted = EnvironmentUpdate.model_validate({"inputs": {"Password": "hunter33"}, **own})
    assert updates.request(where, wanted, ann).on_conflict == "reject"
    before = (world.everything(), secrets())

    with pytest.raises(QueueBusy):
        updates.request(where, wanted, ann)

    assert (world.everything(), secrets()) == before


def test_an_environment_that_supersedes_lets_updates_wait(
    ann: Principal, project: ProjectId
) -> None:
    where = world.environment(
        project, ann, "s", template="web@1.0", inputs=INPUTS, on_conflict="supersede"
    )

    assert updates.request(where, EnvironmentUpdate(inputs={}), ann).on_conflict == "queue"


def test_only_its_members_update_it_and_only_while_it_lives(
    ann: Principal, bob: Principal, web: EnvironmentId, running: EnvironmentId
) -> None:
    wanted = EnvironmentUpdate(inputs={})

    with pytest.raises(NotFound):
        updates.request(web, wanted, bob)
    with pytest.raises(NoTemplate):
        updates.request(running, wanted, ann)
    world.becomes(web, "tearing_down")
    with pytest.raises(EnvironmentNotReady):
        updates.request(web, wanted, ann)


@pytest.mark.parametrize("text", ["other", "other@1.0", "web@1.9", "web@2", "WEB", "web@"])
def test_another_template_or_none_is_refused(ask: Ask, text: str) -> None:
    assert list(refused(ask, template=text)) == ["#/template"]


def test_all_wrong_inputs_are_reported(ask: Ask) -> None:
    wrong = {"Size": "huge", "Nope": None, "Version": None, "Password": "short", "Zones": {"a": 1}}

    told = refused(ask, inputs=wrong)

    assert set(told) == {f"#/inputs/{name}" for name in wrong}
    assert told["#/inputs/Version"] == "is supplied by Slipway"
    assert refused(ask, inputs={"Password": None}) == {"#/inputs/Password": "is required"}


@pytest.mark.parametrize(
    "version,told",
    [
        ("1.1", {"Region": "is required"}),
        ("1.2", {"Size": "must be one of large, huge"}),
        ("1.4", {"Password": "was a secret and would become visible: send it again, or null"}),
    ],
)
def test_kept_inputs_must_fit_the_other_version(
    ask: Ask, version: str, told: dict[str, str]
) -> None:
    expected = {f"#/inputs/{name}": detail for name, detail in told.items()}

    assert refused(ask, template=f"web@{version}") == expected


def test_the_combined_inputs_have_a_maximum_size(ann: Principal, ask: Ask) -> None:
    declared = {f"P{n}": {"Type": "String", "Default": ""} for n in range(20)}
    body = json.dumps({"Parameters": declared, "Resources": {"A": {"Type": "AWS::SQS::Queue"}}})
    templates.add_version("web", Version(2, 0), body.encode(), "application/json", ann)
    templates.publish("web", Version(2, 0), ann)

    carried_out(ask(template="web@2.0", inputs={f"P{n}": "x" * 4000 for n in range(15)}))

    told = refused(ask, inputs={f"P{n}": "x" * 4000 for n in range(15, 17)})
    assert told == {"#/inputs": f"must be at most {MAX_BYTES_TOGETHER} bytes together"}


def test_the_largest_update_fits_a_workflows_state(ann: Principal, project: ProjectId) -> None:
    # Quotes are escaped twice, in the record's text and in the state's.
    names = [f"P{n:03d}".ljust(255, "x") for n in range(200)]
    hidden, shown = names[:MAX_SECRETS], names[MAX_SECRETS:]
    texts = {name: {"Type": "String", "Default": ""} for name in shown}
    secret = {name: {"Type": "String", "NoEcho": True} for name in hidden}
    template = {"Parameters": {**texts, **secret}, "Resources": {"A": {"Type": "AWS::SQS::Queue"}}}
    templates.create(NewTemplate(name="wide"), ann)
    templates.add_version("wide", None, json.dumps(template).encode(), "application/json", ann)
    templates.publish("wide", Version(1, 0), ann)
    given: dict[str, Any] = dict.fromkeys(hidden, "s")
    wide = world.environment(project, ann, "wide", template="wide", inputs=given)
    world.comes_up(wide)
    left = MAX_BYTES_TOGETHER
    for name in shown:
        quotes = min(4096, (left - len(name) - 8) // 2)
        if quotes < 1:
            break
        given[name] = '"' * quotes
        left -= len(json.dumps({name: given[name]}))

    asked = updates.request(wide, EnvironmentUpdate(inputs=given), ann)
    _, becomes = turn_of(asked)

    assert MAX_BYTES_TOGETHER - 300 < len(becomes["inputs"]) <= MAX_BYTES_TOGETHER
    assert len(becomes["secret_inputs"]) == len(becomes["secret_places"]) == MAX_SECRETS
    # The output of Ship, with its stack's longest output and the fields around it.
    shipping = deployment_records.find(parse_deployment(asked.id))
    assert shipping
    record = environment_records.after_rollout(shipping, becomes)
    assert record["set"]["inputs"] == {"S": becomes["inputs"]}
    assert record["set"]["last_update_id"] == {"S": asked.id}
    assert len(json.dumps({"record": record, "base_url": "x" * 4096})) < _STATE - 10_000


def test_a_version_that_is_deprecated_meanwhile_is_refused(
    ann: Principal, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = secret_inputs.write

    def meanwhile(place: str, values: dict[str, str]) -> None:
        write(place, values)
        templates.deprecate("web", Version(1, 3), ann)

    monkeypatch.setattr(secret_inputs, "write", meanwhile)

    with pytest.raises(Invalid, match=r"web@1\.3 is no longer published; choose another version"):
        ask(template="web@1.3")

    assert secrets() == {"Password": "hunter22"}


def test_an_environment_of_a_deprecated_version_may_change_its_inputs(
    ann: Principal, web: EnvironmentId, ask: Ask
) -> None:
    templates.deprecate("web", Version(1, 0), ann)

    assert carried_out(ask(inputs={"Size": "large"}))["template"] == "web@1.0"


# --- secrets ----------------------------------------------------------------------------------


def test_inputs_that_are_sent_back_as_they_are_shown_keep_the_secret(
    ann: Principal, web: EnvironmentId, ask: Ask
) -> None:
    before = secrets()
    shown = environments.get(web, ann).inputs
    assert shown and shown["Password"] == MASK

    item = carried_out(ask(inputs={**shown, "Size": "large"}))

    assert (secrets(), item["secret_inputs"]) == (before, ["Password"])
    assert json.loads(item["inputs"])["Size"] == "large"


def test_a_new_secret_is_beside_the_old_one_until_the_update_is_in_place(
    web: EnvironmentId, ask: Ask
) -> None:
    made = ask(inputs={"Password": "hunter33", "Size": "large"})

    assert made.inputs == {"Size": "large", "Password": "****"}
    assert secrets() == {"Password": "hunter22", "*/Password": "hunter33"}
    assert "hunter33" not in json.dumps(world.everything(), default=str)
    assert secret_inputs.read(secret_inputs.places(found(web))) == {"Password": "hunter22"}
    record = carried_out(made)
    assert secret_inputs.read(secret_inputs.places(record)) == {"Password": "hunter33"}
    kept = carried_out(ask(template="web@1.2", inputs={"Size": None}))
    assert secret_inputs.places(kept) == secret_inputs.places(record)


def test_an_input_that_becomes_a_secret_is_stored_as_one(web: EnvironmentId, ask: Ask) -> None:
    record = carried_out(ask(template="web@1.3"))

    assert record["secret_inputs"] == ["Key", "Password"]
    assert "Key" not in json.loads(record["inputs"])
    values = secret_inputs.read(secret_inputs.places(record))
    assert values == {"Key": "k1", "Password": "hunter22"}
    without = carried_out(ask(inputs={"Key": None}))
    assert (without["secret_inputs"], without["secret_places"]) == (["Password"], {})


def test_an_update_whose_secret_cannot_be_stored_is_not_accepted(
    web: EnvironmentId, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.everything()
    monkeypatch.setattr(aws, "call", _fails)

    with pytest.raises(DriverFault):
        ask(inputs={"Password": "hunter33"})

    left = [item for item in world.everything() if item not in before]
    assert [item["sk"]["S"].partition("#")[0] for item in left] == ["SECRETS"]
    assert len(world.everything()) == len(before) + 1


def _fails(*_: object, **__: object) -> None:
    raise DriverFault("throttled")


def test_the_secret_of_an_update_with_an_unknown_outcome_is_kept(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.no_sleep(monkeypatch)
    lost = between.error("InternalServerError", 500)
    between.fails(monkeypatch, "TransactWriteItems", lost, lost, lost)

    with pytest.raises(StoreUnavailable):
        ask(inputs={"Password": "hunter33"})

    assert secrets() == {"Password": "hunter22", "*/Password": "hunter33"}


def test_secrets_of_an_update_that_was_not_accepted_are_removed(
    web: EnvironmentId, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(transaction: table.Transaction) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(table.Transaction, "commit", dies)
        ask(inputs={"Password": "hunter33"})
    ask(inputs={"Password": "hunter44"})
    found_there = sorted(stored().values())
    [note] = [i for i in map(wire.decode, world.everything()) if i["sk"].startswith("SECRETS")]

    assert found_there == ["hunter22", "hunter33", "hunter44"]
    for _ in range(2):
        assert cleanup.remove_orphaned_secrets(note, environment_records.find(web))
        assert sorted(stored().values()) == ["hunter22", "hunter44"]
    assert not [i for i in world.everything() if i["sk"]["S"].startswith("SECRETS")]


@pytest.mark.parametrize(
    "ahead,becomes",
    [
        ({"Key": "k2"}, "refused"),
        ({"Key": None}, "none of its own"),
        ({"Size": "large"}, "refused"),
    ],
)
def test_an_input_that_became_a_secret_does_not_undo_the_update_ahead(
    web: EnvironmentId, ask: Ask, ahead: dict[str, Any], becomes: str
) -> None:
    first, second = ask(inputs=ahead), ask(template="web@1.3")
    carried_out(first)

    if becomes == "refused":
        with pytest.raises(DriverRefused, match="#/inputs/Key: has become a secret: send it again"):
            turn_of(second)
    else:
        assert carried_out(second)["secret_inputs"] == ["Password"]


def test_a_secret_that_was_sent_wins_over_the_update_ahead(web: EnvironmentId, ask: Ask) -> None:
    first = ask(inputs={"Key": "k2"})
    second = ask(template="web@1.3", inputs={"Key": "k3"})
    carried_out(first)

    record = carried_out(second)

    assert secret_inputs.read(secret_inputs.places(record))["Key"] == "k3"


def test_a_kept_secret_does_not_undo_the_secret_of_the_update_ahead(
    web: EnvironmentId, ask: Ask
) -> None:
    first = ask(template="web@1.3", inputs={"Key": "k2"})
    second = ask(template="web@1.3")
    carried_out(first)

    record = carried_out(second)

    assert secret_inputs.read(secret_inputs.places(record))["Key"] == "k2"


def test_a_version_with_a_type_that_is_no_longer_allowed_is_refused(
    web: EnvironmentId, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED_RESOURCE_TYPES", "AWS::SNS::*")
    settings.cache_clear()

    pointers = refused(ask, template="web@1.2")

    assert pointers == {
        "#/template": "has resource types that are no longer allowed: AWS::SQS::Queue"
    }
    assert ask(inputs={"Size": "large"}).status == "pending"


def test_a_repeated_request_gets_its_answer_and_changes_nothing(
    ann: Principal, web: EnvironmentId, ask: Ask
) -> None:
    def once() -> tuple[dict[str, Any], bool]:
        carry_out = lambda: ask(inputs={"Password": "hunter33"})  # noqa: E731
        return idempotency.run_once(
            ann.user_id, "key", "the request", "a secret", carry_out, lambda made: {"id": made.id}
        )

    first, before = once(), (world.everything(), secrets())

    assert once() == (first[0], True)
    assert (world.everything(), secrets()) == before


# --- what is shown beforehand -----------------------------------------------------------------


def test_a_plan_shows_what_would_change_and_changes_nothing(
    ann: Principal, web: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Item, dict[str, str]]] = []

    def preview(would_be: Item, secrets: dict[str, str]) -> dict[str, Any]:
        asked.append((would_be, secrets))
        return {"status": "pending"}

    monkeypatch.setattr("slipway.drivers.preview", preview)
    before = (world.everything(), secrets())
    change = {"Region": "eu", "Size": "small", "Key": None, "Password": "hunter33"}
    wanted = EnvironmentUpdate.model_validate({"template": "web@1.1", "inputs": change})

    plan = updates.preview(web, wanted, ann)

    assert (world.everything(), secrets()) == before
    assert (plan.from_template, plan.to_template) == ("web@1.0", "web@1.1")
    assert {n: (each.before, each.after) for n, each in plan.inputs.items()} == {
        "Region": (None, "eu"),
        "Key": ("k1", None),
        "Zones": ("a,b", None),
        "Password": ("****", "****"),
    }
    assert plan.change_set.status == "pending"
    [(would_be, new)] = asked
    assert (would_be["secret_inputs"], new) == ([], {"Password": "hunter33"})
    assert json.loads(would_be["inputs"]) == {"Region": "eu", "Size": "small"}
    assert "hunter33" not in plan.model_dump_json()
