"""Templates: who changes them, what never changes, and how environments use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from slipway.access.principal import Principal
from slipway.aws import secret_inputs, template_bodies
from slipway.domain import timestamps
from slipway.domain.ids import ProjectId, parse_environment
from slipway.domain.template import NewTemplate, TemplateVersion, Version
from slipway.errors import (
    Busy,
    DriverFault,
    ExternalIdTaken,
    Forbidden,
    Invalid,
    Malformed,
    NameTaken,
    NotFound,
    NotPublished,
    PreconditionFailed,
    VersionFixed,
    VersionTaken,
)
from slipway.services import (
    cleanup,
    environments,
    projects,
    provisioning,
    teardowns,
    template_uses,
    templates,
)
from slipway.settings import settings
from slipway.store import environment_records, table, template_records, wire
from slipway.store.table import Item
from tests.support.store import between, world
from tests.support.store.cloudformation import TIMES_OUT, CloudFormation
from tests.support.store.review import Review

pytestmark = pytest.mark.usefixtures("aws")

YAML = "application/yaml"
BODY = b"""
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true, MinLength: 8}
  Version: {Type: String}
Resources:
  Jobs: {Type: AWS::SQS::Queue}
Outputs:
  Url: {Value: !Ref Jobs}
"""
V1 = Version(1, 0)


class Twins:
    """S3, in which somebody else stores the same so many times in the same moment."""

    def __init__(self, times: int) -> None:
        self.times = times

    def put_object(self, **_: object) -> None:
        self.times -= 1
        if self.times >= 0:
            code = {"Code": "ConditionalRequestConflict", "Message": "It meets another"}
            raise ClientError({"Error": code}, "PutObject")


@pytest.mark.parametrize("times", [1, 2])
def test_a_body_that_another_request_stores_at_once_is_stored(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = Twins(times)
    monkeypatch.setattr(template_bodies, "_s3", lambda: twins)

    template_bodies.put("key", b"body", YAML)

    assert twins.times == -1


def test_a_conflict_on_a_body_that_does_not_end_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins(100)
    monkeypatch.setattr(template_bodies, "_s3", lambda: twins)

    with pytest.raises(DriverFault, match="It meets another"):
        template_bodies.put("key", b"body", YAML)
    assert twins.times == 97


@pytest.fixture(autouse=True)
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    word = CloudFormation()
    monkeypatch.setattr(template_bodies, "_cloudformation", lambda: word)
    return word


@pytest.fixture
def web(ann: Principal) -> str:
    return templates.create(NewTemplate(name="web"), ann).name


Add = Callable[..., TemplateVersion]


@pytest.fixture
def add(ann: Principal, web: str) -> Add:
    def added(version: str | None = None, body: bytes = BODY, *, publish: bool = True) -> Any:
        wanted = Version.parse(version) if version else None
        made = templates.add_version(web, wanted, body, YAML, ann)
        if publish:
            return templates.publish(web, Version.parse(made.version), ann)
        return made

    return added


def stored() -> dict[str, bytes]:
    client = boto3.client("s3")
    found = client.list_objects_v2(Bucket="templates").get("Contents", [])
    return {
        each["Key"]: client.get_object(Bucket="templates", Key=each["Key"])["Body"].read()
        for each in found
    }


def secrets() -> dict[str, str]:
    client = boto3.client("ssm")
    found = client.get_parameters_by_path(Path="/slipway", Recursive=True, WithDecryption=True)
    return {each["Name"]: each["Value"] for each in found["Parameters"]}


# --- templates and versions -------------------------------------------------------------------


def test_a_name_is_taken_once(ann: Principal, bob: Principal, web: str) -> None:
    with pytest.raises(NameTaken):
        templates.create(NewTemplate(name="web"), bob)

    assert templates.get("web").created_by.id == ann.user_id


def test_a_body_is_stored_under_its_digest_before_its_version_is_recorded(
    add: Add, cloudformation: CloudFormation
) -> None:
    made = add(publish=False)

    assert (made.version, made.state, made.bytes) == ("1.0", "draft", len(BODY))
    assert made.sha256 == template_bodies.digest(BODY)
    assert stored() == {f"templates/web/1.0/{made.sha256}": BODY}
    assert cloudformation.looked_at == [BODY]
    assert templates.body("web", V1) == (BODY, YAML, made.sha256)
    assert [each.name for each in made.parameters] == ["Size", "Password", "Version"]
    assert (made.outputs, made.resources) == (["Url"], {"AWS::SQS::Queue": 1})
    assert templates.version("web", V1) == made


def test_versions_are_numbered_and_listed_newest_first(add: Add) -> None:
    made = [add().version, add("1.9").version, add().version, add("2.3").version, add().version]

    assert made == ["1.0", "1.9", "1.10", "2.3", "2.4"]
    listed = templates.versions("web", world.page())
    assert [each.version for each in listed] == made[::-1]
    with pytest.raises(VersionTaken):
        add("1.9")


def test_the_number_of_versions_is_limited(add: Add) -> None:
    add("1.99999")

    with pytest.raises(VersionTaken):
        add()


def test_two_simultaneous_additions_get_two_versions(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, others = template_bodies.put, [BODY]

    def meanwhile(key: str, body: bytes, media: str) -> None:
        put(key, body, media)
        if others:
            others.pop()
            add()

    monkeypatch.setattr(template_bodies, "put", meanwhile)

    assert add().version == "1.1"
    assert len(templates.versions("web", world.page())) == 2


def test_only_the_owner_changes_a_template(bob: Principal, add: Add) -> None:
    add(publish=False)

    for change in (
        lambda: templates.add_version("web", None, BODY, YAML, bob),
        lambda: templates.replace("web", V1, BODY, YAML, bob),
        lambda: templates.publish("web", V1, bob),
        lambda: templates.deprecate("web", V1, bob),
        lambda: templates.discard("web", V1, bob),
    ):
        with pytest.raises(Forbidden):
            change()
    assert templates.version("web", V1).state == "draft"


def test_an_unknown_template_is_not_found(ann: Principal, web: str) -> None:
    for look in (
        lambda: templates.get("other"),
        lambda: templates.get("x" * 5000),
        lambda: templates.versions("other", world.page()),
        lambda: templates.version("web", V1),
        lambda: templates.body("web", V1),
        lambda: template_uses.usage("other"),
        lambda: world.uses("other", ann),
        lambda: templates.add_version("other", None, BODY, YAML, ann),
        lambda: templates.replace("web", V1, BODY, YAML, ann),
        lambda: templates.publish("web", V1, ann),
        lambda: templates.discard("web", V1, ann),
    ):
        with pytest.raises(NotFound):
            look()


def test_a_draft_is_replaced_or_deleted(ann: Principal, add: Add) -> None:
    first = add(publish=False)
    other = BODY + b"# another\n"

    second = templates.replace("web", V1, other, YAML, ann)

    assert second.sha256 == template_bodies.digest(other) != first.sha256
    assert second.created_at == first.created_at
    assert templates.version("web", V1) == second
    assert templates.body("web", V1)[0] == other
    templates.discard("web", V1, ann)
    assert templates.versions("web", world.page()) == []


def test_a_published_version_never_changes(ann: Principal, add: Add) -> None:
    published = add()

    for change in (
        lambda: templates.replace("web", V1, BODY + b"#", YAML, ann),
        lambda: templates.discard("web", V1, ann),
    ):
        with pytest.raises(VersionFixed):
            change()
    assert templates.version("web", V1) == published
    assert templates.publish("web", V1, ann) == published
    deprecated = templates.deprecate("web", V1, ann)
    assert (deprecated.state, deprecated.published_at) == ("deprecated", published.published_at)
    assert templates.deprecate("web", V1, ann) == deprecated
    with pytest.raises(VersionFixed):
        templates.publish("web", V1, ann)


def test_publishing_takes_the_latest_draft(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(publish=False)
    other = BODY + b"# another\n"
    between.first(monkeypatch, "UpdateItem", lambda: templates.replace("web", V1, other, YAML, ann))

    published = templates.publish("web", V1, ann)

    assert (published.state, published.sha256) == ("published", template_bodies.digest(other))
    assert templates.version("web", V1) == published


Change = Callable[[Principal, templates.Precondition | None], object]
CHANGES: dict[str, Change] = {
    "replace": lambda ann, seen: templates.replace("web", V1, BODY + b"# mine", YAML, ann, seen),
    "discard": lambda ann, seen: templates.discard("web", V1, ann, seen),
    "publish": lambda ann, seen: templates.publish("web", V1, ann, seen),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_draft_is_changed_only_with_its_current_etag(
    ann: Principal, add: Add, change: Change
) -> None:
    before = add(publish=False)

    with pytest.raises(PreconditionFailed):
        change(ann, lambda version: version.sha256 == "another")
    assert templates.version("web", V1) == before
    change(ann, before.__eq__)

    after = templates.versions("web", world.page())
    assert after != [before]


@pytest.mark.parametrize("call", ["UpdateItem", "DeleteItem"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_draft_that_changes_meanwhile_fails_the_precondition(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch, change: Change, call: str
) -> None:
    before = add(publish=False)
    other = BODY + b"# another\n"
    done = []

    def meanwhile() -> None:
        done.append(templates.replace("web", V1, other, YAML, ann))

    between.first(monkeypatch, call, meanwhile)
    try:
        change(ann, before.__eq__)
    except PreconditionFailed:
        assert [templates.version("web", V1)] == done
    else:
        assert done == []


def test_a_draft_that_is_published_meanwhile_fails_the_precondition(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = add(publish=False)
    between.first(monkeypatch, "UpdateItem", lambda: templates.publish("web", V1, ann))

    with pytest.raises(PreconditionFailed):
        templates.replace("web", V1, BODY + b"#", YAML, ann, before.__eq__)

    assert templates.version("web", V1).state == "published"


def test_a_deleted_draft_is_not_found_with_any_etag(ann: Principal, add: Add) -> None:
    before = add(publish=False)
    templates.discard("web", V1, ann)

    for change in CHANGES.values():
        with pytest.raises(NotFound):
            change(ann, before.__eq__)


def test_a_draft_that_is_deleted_meanwhile_is_not_published(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(publish=False)
    between.first(monkeypatch, "UpdateItem", lambda: templates.discard("web", V1, ann))

    with pytest.raises(NotFound):
        templates.publish("web", V1, ann)
    assert templates.versions("web", world.page()) == []


def test_publishing_twice_at_once_answers_both(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(publish=False)
    told = []
    between.first(monkeypatch, "UpdateItem", lambda: told.append(templates.publish("web", V1, ann)))

    assert [templates.publish("web", V1, ann)] == told


def test_a_draft_that_keeps_changing_is_busy(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(publish=False)
    [item] = table.get(template_records.version_key("web", V1))
    assert item

    def fail(action: table.Update) -> None:
        raise table.ConditionFailed(item)

    monkeypatch.setattr(table, "write", fail)

    with pytest.raises(Busy):
        templates.publish("web", V1, ann)
    assert templates.version("web", V1).state == "draft"


def test_a_draft_is_not_deprecated(ann: Principal, add: Add) -> None:
    add(publish=False)

    with pytest.raises(NotPublished):
        templates.deprecate("web", V1, ann)


@pytest.mark.parametrize(
    "body,error",
    [
        (b"a: [", Malformed),
        (b"Resources: {}", Invalid),
        (b"Resources: {A: {Type: AWS::EC2::Instance}}", Invalid),
    ],
)
def test_a_refused_body_leaves_nothing(add: Add, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        add(body=body)

    assert stored() == {}
    assert templates.versions("web", world.page()) == []


@pytest.mark.parametrize(
    "says,error", [("Unresolved dependencies", Invalid), (TIMES_OUT, DriverFault)]
)
def test_a_body_that_cloudformation_refuses_is_not_added(
    add: Add, cloudformation: CloudFormation, says: str, error: type[Exception]
) -> None:
    cloudformation.says = says

    with pytest.raises(error, match=r"Unresolved|timeout"):
        add()

    assert templates.versions("web", world.page()) == []


class Broken:
    """S3 on a bad day."""

    def put_object(self, **_: Any) -> None:
        error = {"Error": {"Code": "SlowDown", "Message": "later"}}
        raise ClientError(error, "PutObject")

    def get_object(self, **_: Any) -> None:
        self.put_object()


def test_no_version_is_recorded_without_its_body(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(template_bodies, "_s3", Broken)
        with pytest.raises(DriverFault):
            add()
    assert templates.versions("web", world.page()) == []
    add()
    monkeypatch.setattr(template_bodies, "_s3", Broken)
    with pytest.raises(DriverFault):
        templates.body("web", V1)


def test_the_same_body_may_be_stored_again(ann: Principal, add: Add) -> None:
    add(publish=False)
    templates.discard("web", V1, ann)

    assert add().version == "1.0"
    assert len(stored()) == 1


# --- environments from templates --------------------------------------------------------------

INPUTS = {"Size": "large", "Password": "hunter22hunter22"}


def test_an_environment_is_made_from_a_version(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    version = add()

    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)

    item = environment_records.find(parse_environment(made.id))
    assert item
    assert made.template == "web@1.0"
    assert made.inputs == {"Size": "large", "Password": "****"}
    assert environments.get(parse_environment(made.id), ann) == made
    assert item["driver"] == "cloudformation"
    assert item["template_key"] == f"templates/web/1.0/{version.sha256}"
    assert item["template_key"] in stored()
    assert item["parameters"] == ["Size", "Password", "Version"]
    assert json.loads(item["inputs"]) == {"Size": "large"}
    assert item["secret_inputs"] == ["Password"]


def test_a_secret_is_only_in_the_parameter_store(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()

    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)

    assert secrets() == {f"/slipway/environments/{made.id}/Password": INPUTS["Password"]}
    assert INPUTS["Password"] not in json.dumps(world.everything(), default=str)
    secret_inputs.remove(made.id, ["Password"])
    secret_inputs.remove(made.id, ["Password"])
    assert secrets() == {}


def notes() -> list[Item]:
    return [item for item in map(wire.decode, world.everything()) if item["sk"] == "SECRETS"]


def look_after(note: Item) -> bool:
    return cleanup.remove_orphaned_secrets(
        note, environment_records.find(parse_environment(note["id"]))
    )


def test_secrets_of_an_environment_that_was_never_created_are_removed(
    ann: Principal, project: ProjectId, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()

    def dies(transaction: table.Transaction) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(table.Transaction, "commit", dies)
        environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    [note] = notes()
    in_an_hour = timestamps.now() + timedelta(hours=1)

    assert abs(datetime.fromisoformat(note["due_at"]) - in_an_hour) < timedelta(minutes=1)
    assert len(secrets()) == 1
    assert look_after(note)
    assert (secrets(), notes()) == ({}, [])
    assert look_after(note)


def test_a_cleanup_record_of_an_earlier_release_means_an_environment(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    table.write(cleanup.secrets_may_be_orphaned(made.id))
    [note] = notes()
    del note["place"]

    assert not look_after(note)
    assert (len(secrets()), notes()) == (1, [])


def test_secrets_of_an_environment_that_was_created_are_kept(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    assert notes() == []
    identity = parse_environment(made.id)
    table.write(cleanup.secrets_may_be_orphaned(str(identity)))

    assert not look_after(notes()[0])
    assert len(secrets()) == 1
    assert notes() == []


def test_secrets_of_a_forgotten_environment_are_removed(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    identity = parse_environment(made.id)
    world.becomes(identity, "teardown_failed", failure={"error": "X", "reason": "x"})

    teardowns.forget(identity, ann, None)

    [note] = notes()
    assert datetime.fromisoformat(note["due_at"]) <= timestamps.now()
    assert look_after(note)
    assert (secrets(), notes()) == ({}, [])


def test_secrets_are_removed_with_an_environment_that_has_no_resources(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    item = environment_records.find(parse_environment(made.id))
    assert item and "resources" not in item

    event = {"execution": made.id, "started_at": timestamps.written(timestamps.now())}
    assert provisioning.retire(item, event).done
    assert secrets() == {}


def test_a_version_with_a_type_that_is_no_longer_allowed_makes_no_environment(
    ann: Principal, project: ProjectId, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    monkeypatch.setenv("ALLOWED_RESOURCE_TYPES", "AWS::SNS::*")
    settings.cache_clear()
    before = world.everything()

    with pytest.raises(Invalid, match="no longer allowed: AWS::SQS::Queue") as error:
        environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)

    assert [each.pointer for each in error.value.fields] == ["#/template"]
    assert (world.everything(), secrets()) == (before, {})


def test_a_refused_environment_leaves_no_secret(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    world.environment(project, ann, "taken")

    with pytest.raises(NameTaken):
        environments.create(project, world.wanted("taken", template="web", inputs=INPUTS), ann)

    assert (secrets(), notes()) == ({}, [])


@pytest.mark.parametrize("text,version", [("web", "2.0"), ("web@1", "1.1"), ("web@1.0", "1.0")])
def test_a_template_without_a_full_version_means_the_newest_published_one(
    ann: Principal, project: ProjectId, add: Add, text: str, version: str
) -> None:
    for each in ("1.0", "1.1", "2.0"):
        add(each)
    add("1.2", publish=False)
    templates.deprecate("web", Version.parse(add("2.1").version), ann)

    made = environments.create(project, world.wanted(template=text, inputs=INPUTS), ann)

    assert made.template == f"web@{version}"


@pytest.mark.parametrize("text", ["web", "web@1"])
def test_a_version_is_found_behind_any_number_of_drafts(
    ann: Principal, project: ProjectId, add: Add, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(template_records, "_LIKELY", 2)
    add("1.0")
    for _ in range(5):
        add(publish=False)

    made = environments.create(project, world.wanted(template=text, inputs=INPUTS), ann)

    assert made.template == "web@1.0"


@pytest.mark.parametrize("text", ["other", "web@3", "web@1.7", "web@1.2", "web@2.1", "WEB", "web@"])
def test_a_version_that_is_not_published_is_refused(
    ann: Principal, project: ProjectId, add: Add, text: str
) -> None:
    add("1.0")
    add("1.2", publish=False)
    templates.deprecate("web", Version.parse(add("2.1").version), ann)
    before = world.everything()

    with pytest.raises(Invalid) as error:
        environments.create(project, world.wanted(template=text, inputs=INPUTS), ann)

    assert [each.pointer for each in error.value.fields] == ["#/template"]
    assert (world.everything(), secrets()) == (before, {})


def test_a_version_that_is_deprecated_meanwhile_is_refused(
    ann: Principal, project: ProjectId, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    write = secret_inputs.write

    def meanwhile(environment_id: str, values: dict[str, str]) -> None:
        write(environment_id, values)
        templates.deprecate("web", V1, ann)

    monkeypatch.setattr(secret_inputs, "write", meanwhile)

    with pytest.raises(Invalid, match="no longer published"):
        environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)

    assert secrets() == {}
    assert world.environments(project, ann) == []


def test_all_wrong_inputs_are_reported(ann: Principal, project: ProjectId, add: Add) -> None:
    add()

    with pytest.raises(Invalid) as error:
        environments.create(
            project, world.wanted(template="web", inputs={"Size": "huge", "Version": "1"}), ann
        )

    pointers = {each.pointer for each in error.value.fields}
    assert pointers == {"#/inputs/Size", "#/inputs/Version", "#/inputs/Password"}


def test_a_plan_shows_what_would_be_created_and_creates_nothing(
    ann: Principal, project: ProjectId, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add()
    Review().instead(monkeypatch)
    wanted = world.wanted(template="web", inputs={"Password": INPUTS["Password"]}, ttl_hours=2)
    before = world.everything()

    plan = environments.plan(project, wanted, ann)

    monkeypatch.undo()
    assert (world.everything(), secrets()) == (before, {})
    assert (plan.template, plan.driver) == ("web@1.0", "cloudformation")
    assert plan.inputs == {"Size": "small", "Password": "****"}
    assert plan.resources == {"AWS::SQS::Queue": 1}
    assert (plan.ttl_hours, plan.max_ttl_hours, plan.expiry_mode) == (2, 720, "absolute")
    assert plan.expires_at and plan.max_expires_at


def test_a_plan_refuses_what_creation_would_refuse(
    ann: Principal, bob: Principal, project: ProjectId
) -> None:
    world.environment(project, ann, "taken", external_id="pr-1")

    with pytest.raises(NameTaken):
        environments.plan(project, world.wanted("taken"), ann)
    with pytest.raises(ExternalIdTaken):
        environments.plan(project, world.wanted("new", external_id="pr-1"), ann)
    with pytest.raises(NotFound):
        environments.plan(project, world.wanted("new"), bob)
    assert environments.plan(project, world.wanted("new"), ann).driver == "simulated"


# --- who uses what ----------------------------------------------------------------------------


def counts(name: str = "web") -> dict[str, int]:
    found = template_uses.usage(name).model_dump(exclude={"newest"})
    return {standing: number for standing, number in found.items() if number}


def test_the_use_of_a_template_is_recorded_with_the_environment(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    environment = parse_environment(made.id)
    assert counts() == {"up_to_date": 1}
    add("1.1")
    assert counts() == {"behind_minor": 1}
    add("2.0")
    assert counts() == {"behind_major": 1}

    stale = environment_records.find(environment)
    world.becomes(environment, "failed")
    failed = environment_records.find(environment)
    assert stale and failed
    template_records.update_use(failed)
    template_records.update_use(stale)
    template_records.update_use(failed)
    assert counts() == {"failed": 1}

    world.is_destroyed(environment)
    destroyed = environment_records.find(environment)
    assert destroyed
    template_records.update_use(destroyed)
    template_records.update_use(failed)
    assert counts() == {}
    assert world.uses("web", ann) == []
    [line] = table.get(template_records.used_key("web", made.id))
    assert line and line["ttl"]


def test_uses_are_counted_for_everyone_and_listed_for_members(
    ann: Principal, bob: Principal, add: Add
) -> None:
    add()
    for who, name in ((ann, "a"), (bob, "b"), (ann, "c")):
        project = world.project(who, name)
        environments.create(project, world.wanted(name, template="web", inputs=INPUTS), who)

    assert counts() == {"up_to_date": 3}
    assert [each.name for each in world.uses("web", ann)] == ["c", "a"]
    assert [each.name for each in world.uses("web", bob)] == ["b"]
    first = world.uses("web", ann, limit=1)
    assert [each.name for each in first] == ["c"]
    rest = world.uses("web", ann, limit=1, cursor=first.cursor)
    assert ([each.name for each in rest], rest.cursor) == (["a"], None)
    assert {each.standing for each in [*first, *rest]} == {"up_to_date"}


def test_use_is_counted_beyond_the_first_page(
    ann: Principal, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_uses, "_FULL_PAGE", 2)
    for version in ("1.0", "1.1", "1.2", "2.0", "2.1"):
        add(version)
    for name in "abcde":
        project = world.project(ann, name)
        wanted = world.wanted(name, template="web@1.2", inputs=INPUTS)
        environments.create(project, wanted, ann)

    assert (counts(), template_uses.usage("web").newest) == ({"behind_major": 5}, "2.1")
    assert [each.name for each in world.uses("web", ann)] == list("edcba")


def test_a_project_may_be_deleted_before_its_uses(
    ann: Principal, project: ProjectId, add: Add
) -> None:
    add()
    made = environments.create(project, world.wanted(template="web", inputs=INPUTS), ann)
    world.is_destroyed(parse_environment(made.id))

    projects.remove(project, ann, None, cascade=False)

    # Until the stream has brought its end to dispatch.
    assert world.uses("web", ann) == []
