"""Templates over HTTP: bodies as they are, refusals with a pointer each, plans."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from slipway import aws
from slipway.aws import template_bodies
from slipway.domain import scope
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.template import MAX_BYTES
from slipway.errors import DriverFault
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.store import between
from tests.support.store.cloudformation import CloudFormation
from tests.support.store.review import Review

TEMPLATES = "/api/v1/templates"
WEB = f"{TEMPLATES}/web"
VERSIONS = f"{WEB}/versions"
YAML = "application/yaml"
BODY = """# A queue and its parameters.
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true}
Resources:
  Jobs: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${AWS::StackName}"}}
"""


@pytest.fixture(autouse=True)
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    word = CloudFormation()
    monkeypatch.setattr(template_bodies, "_cloudformation", lambda: word)
    return word


@pytest.fixture
def web(ann: Client) -> Client:
    assert ann.post(TEMPLATES, {"name": "web", "description": "A queue."}).status == 201
    return ann


def add(owner: Client, body: str | bytes = BODY, query: str = "", media: str = YAML) -> Answer:
    return owner.send("POST", VERSIONS, body, media=media, query=query)


def published(owner: Client, version: str) -> None:
    assert add(owner, query=f"version={version}").status == 201
    assert owner.post(f"{VERSIONS}/{version}/publish").status == 200


def wanted(**fields: Any) -> dict[str, Any]:
    inputs = {"Password": "hunter22"}
    return {"name": "x", "type": "ephemeral", "template": "web", "inputs": inputs, **fields}


def test_a_template_is_created_listed_and_shown_to_every_user(web: Client, bob: Client) -> None:
    again = bob.post(TEMPLATES, {"name": "web"})

    assert_refused(again, 409, "name_taken")
    shown = bob.get(WEB)
    assert shown.json["created_by"] == {
        "id": web.user_id,
        "kind": "user",
        "name": "ann@example.com",
    }
    assert shown.headers["etag"] == '"1"'
    assert bob.get(TEMPLATES).json == [shown.json]
    assert bob.get(f"{WEB}/").json == shown.json


@pytest.mark.parametrize("name", ["", "Web", "a b", "a@1", "-a", "a/b", "x" * 64, 1, None])
def test_a_malformed_name_is_refused(ann: Client, name: Any) -> None:
    with nothing_changes():
        assert_refused(ann.post(TEMPLATES, {"name": name}), 422, "invalid_request", "#/name")


def test_a_version_goes_through_its_states(web: Client, bob: Client) -> None:
    made = add(web)
    here = f"{VERSIONS}/1.0"

    assert made.status == 201
    assert made.headers["location"] == here
    assert (made.json["version"], made.json["state"]) == ("1.0", "draft")
    assert bob.get(here).json == made.json
    body = bob.get(f"{here}/body")
    assert (body.text, body.headers["content-type"]) == (BODY, YAML)
    assert body.headers["etag"] == f'"{made.json["sha256"]}"'
    early = web.post(f"{here}/deprecate")
    assert_refused(early, 409, "not_published")
    assert early.json["detail"] == "Version 1.0 is a draft. Delete it instead."
    replaced = web.send("PUT", here, BODY + "#", media="text/yaml")
    assert (replaced.status, replaced.json["bytes"]) == (200, len(BODY) + 1)
    assert web.post(f"{here}/publish").json["state"] == "published"
    assert_refused(web.send("PUT", here, BODY, media=YAML), 409, "version_fixed")
    assert_refused(web.delete(here), 409, "version_fixed")
    assert web.post(f"{here}/deprecate").json["state"] == "deprecated"
    refused = web.post(f"{here}/publish")
    assert_refused(refused, 409, "version_fixed")
    assert refused.json["version_state"] == "deprecated"
    assert add(web).json["version"] == "1.1"
    assert web.delete(f"{VERSIONS}/1.1").status == 204
    assert [each["version"] for each in bob.get(VERSIONS).json] == ["1.0"]


def test_a_template_may_be_json(web: Client) -> None:
    body = json.dumps({"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}})

    made = add(web, body, media="application/json; charset=utf-8")

    assert made.status == 201
    answer = web.get(f"{VERSIONS}/1.0/body")
    assert (answer.text, answer.headers["content-type"]) == (body, "application/json")


def test_only_the_owner_may_change_it(web: Client, bob: Client) -> None:
    add(web)

    with nothing_changes():
        answers = [
            add(bob),
            bob.send("PUT", f"{VERSIONS}/1.0", BODY, media=YAML),
            bob.delete(f"{VERSIONS}/1.0"),
            bob.post(f"{VERSIONS}/1.0/publish"),
            bob.post(f"{VERSIONS}/1.0/deprecate"),
        ]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")


def test_templates_need_a_token(nobody: Client) -> None:
    for path in (TEMPLATES, WEB, VERSIONS, f"{VERSIONS}/1.0/body", f"{WEB}/usage"):
        assert_refused(nobody.get(path), 401, "token_missing")


@pytest.mark.parametrize(
    "body,status,code,pointer",
    [
        ("a: [", 400, "malformed_body", None),
        (b"a: \xff", 400, "malformed_body", None),
        ("", 422, "invalid_request", "#"),
        ("Resources: {}", 422, "invalid_request", "#/Resources"),
        ("Resources: {A: {Type: AWS::EC2::VPC}}", 422, "invalid_request", "#/Resources/A/Type"),
        (f"{BODY}Transform: Mine", 422, "invalid_request", "#/Transform"),
        (
            f"{BODY}Outputs: {{Url: {{Value: !Ref No}}}}",
            422,
            "invalid_request",
            "#/Outputs/Url/Value/Ref",
        ),
        ('Description: "a\\x01"', 422, "invalid_request", "#/Description"),
        ("a: &a [x]\nb: *a", 422, "invalid_request", "#/b"),
        ("[" * 500_000, 422, "invalid_request", None),
        ("#" * (MAX_BYTES + 1), 413, "body_too_large", None),
    ],
)
def test_a_body_that_is_not_a_template_is_refused(
    web: Client, body: str | bytes, status: int, code: str, pointer: str | None
) -> None:
    with nothing_changes():
        answer = add(web, body)

    assert (answer.status, answer.json["code"]) == (status, code)
    if pointer:
        assert_refused(answer, status, code, pointer)


def test_a_template_of_the_maximum_size_is_accepted(web: Client) -> None:
    body = BODY + "#" * (MAX_BYTES - len(BODY))

    assert add(web, body).json["bytes"] == MAX_BYTES


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_media_type_is_refused(web: Client, media: Any) -> None:
    assert_refused(add(web, media=media), 415, "unsupported_media_type")


@pytest.mark.parametrize("version", ["1", "v1.0", "1.0.0", "", "01.0"])
def test_a_malformed_version_is_refused(web: Client, version: str) -> None:
    with nothing_changes():
        answer = add(web, query=f"version={version}")
        assert_refused(answer, 422, "invalid_request", "?version")
        assert web.get(f"{VERSIONS}/{version or 'x'}").status == 404


def test_a_refusal_by_cloudformation_is_reported(
    web: Client, cloudformation: CloudFormation
) -> None:
    cloudformation.says = "Template error: unresolved resource dependencies [Nobody]"

    answer = add(web)

    assert_refused(answer, 422, "invalid_request", "#")
    assert "Nobody" in answer.json["detail"]


# --- environments -----------------------------------------------------------------------------


def test_an_environment_shows_its_template(web: Client, project: ProjectId) -> None:
    published(web, "1.0")

    made = web.post(f"/api/v1/environments/projects/{project}", wanted())

    assert made.status == 201
    assert made.json["template"] == "web@1.0"
    assert made.json["inputs"] == {"Password": "****"}
    assert web.get(made.headers["location"]).json == made.json
    assert web.get(f"{WEB}/usage").json["up_to_date"] == 1
    [line] = web.get(f"{WEB}/environments").json
    assert (line["environment_id"], line["standing"]) == (made.json["id"], "up_to_date")


def test_groups_and_labels_of_parameters_are_shown(web: Client) -> None:
    interface = (
        "Metadata:\n  AWS::CloudFormation::Interface:\n"
        "    ParameterGroups: [{Label: {default: Secrets}, Parameters: [Password]}]\n"
        "    ParameterLabels: {Password: {default: The password}}\n"
    )

    made = add(web, interface + BODY)

    assert made.json["parameter_groups"] == [{"label": "Secrets", "parameters": ["Password"]}]
    assert [(each["name"], each["label"]) for each in made.json["parameters"]] == [
        ("Password", "The password"),
        ("Size", None),
    ]
    assert web.get(f"{VERSIONS}/1.0").json == made.json


def test_warnings_are_shown_with_the_version_and_with_plans(
    web: Client, project: ProjectId, review: Review
) -> None:
    told = {
        "pointer": "#/Parameters",
        "code": "takes_no_version",
        "detail": (
            "has neither Version nor Artifact or a part of it, so deployments into its "
            "environments are refused. "
            "Declare one of them if the template has code that deployments replace"
        ),
    }
    path = f"/api/v1/environments/projects/{project}"

    made = add(web)
    replaced = web.send("PUT", f"{VERSIONS}/1.0", BODY + "#", media=YAML)
    web.post(f"{VERSIONS}/1.0/publish")
    plan = web.send("POST", path, json.dumps(wanted()), query="dry_run=true")

    for answer in (made, replaced, web.get(f"{VERSIONS}/1.0"), plan):
        assert answer.json["warnings"] == [told]
    assert web.get(VERSIONS).json[0]["warnings"] == [told]


@pytest.fixture
def review(monkeypatch: pytest.MonkeyPatch) -> Review:
    return Review().instead(monkeypatch)


def test_a_plan_is_shown_and_nothing_is_created(
    web: Client, project: ProjectId, review: Review
) -> None:
    published(web, "1.0")
    path = f"/api/v1/environments/projects/{project}"

    with nothing_changes():
        plan = web.send("POST", path, json.dumps(wanted()), query="dry_run=true")
        refused = web.send(
            "POST", path, json.dumps(wanted(inputs={"Size": "x"})), query="dry_run=true"
        )

    assert plan.status == 200
    assert "location" not in plan.headers
    assert plan.json["inputs"] == {"Size": "small", "Password": "****"}
    assert plan.json["resources"] == {"AWS::SQS::Queue": 1}
    [jobs] = plan.json["change_set"]["changes"]
    assert (jobs["action"], jobs["logical_id"], jobs["type"]) == ("add", "Jobs", "AWS::SQS::Queue")
    assert review.made == {}
    assert_refused(refused, 422, "invalid_request", "#/inputs/Size")
    assert_refused(refused, 422, "invalid_request", "#/inputs/Password")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 60, "1" + "0" * 4000])
def test_a_number_beyond_every_limit_is_too_large(
    web: Client, project: ProjectId, number: str
) -> None:
    body = BODY.replace("Password: {Type: String, NoEcho: true}", "Count: {Type: Number}")
    assert add(web, body).status == 201
    assert web.post(f"{VERSIONS}/1.0/publish").status == 200
    sent = '{"name": "x", "type": "ephemeral", "template": "web", "inputs": {"Count": %s}}'

    answer = web.send("POST", f"/api/v1/environments/projects/{project}", sent % number)

    assert_refused(answer, 422, "invalid_request", "#/inputs/Count")
    assert answer.json["errors"][0]["detail"] == "is too large"


def test_an_input_with_characters_that_xml_forbids_is_refused(
    web: Client, project: ProjectId
) -> None:
    published(web, "1.0")
    path = f"/api/v1/environments/projects/{project}"

    with nothing_changes():
        answer = web.post(path, wanted(inputs={"Password": "hunter\x01"}))
        named = web.post(path, wanted(name="a\uffff"))

    assert_refused(answer, 422, "invalid_request", "#/inputs/Password")
    assert_refused(named, 422, "invalid_request", "#/name")


def test_inputs_are_only_for_templates(ann: Client, project: ProjectId) -> None:
    with nothing_changes():
        answer = ann.post(
            f"/api/v1/environments/projects/{project}", wanted(template=None, inputs={})
        )

    assert_refused(answer, 422, "invalid_request", "#/inputs")


@pytest.mark.parametrize("template", [5, "", "x" * 201, ["web"]])
def test_inputs_are_not_reported_if_the_template_is_malformed(
    ann: Client, project: ProjectId, template: Any
) -> None:
    with nothing_changes():
        answer = ann.post(
            f"/api/v1/environments/projects/{project}", wanted(template=template, inputs={"A": 1})
        )

    assert_refused(answer, 422, "invalid_request", "#/template")
    assert len(answer.json["errors"]) == 1


def test_ttl_hours_are_not_reported_if_the_type_is_malformed(
    ann: Client, project: ProjectId
) -> None:
    answer = ann.post(
        f"/api/v1/environments/projects/{project}", {"name": "x", "type": 5, "ttl_hours": 1}
    )

    assert_refused(answer, 422, "invalid_request", "#/type")
    assert len(answer.json["errors"]) == 1


def test_a_plan_may_be_repeated_with_a_key_and_does_not_use_it(
    web: Client, project: ProjectId, review: Review
) -> None:
    published(web, "1.0")
    path, once = f"/api/v1/environments/projects/{project}", web.with_headers(idempotency_key="k")
    review.says = {"Status": "CREATE_IN_PROGRESS"}

    first = once.post(path, wanted(), query="dry_run=true")
    [stack] = review.made.values()
    stack |= Review().says
    second = once.post(path, wanted(), query="dry_run=true")
    made = once.post(path, {**wanted(), "inputs": None, "template": None})

    pending = {"status": "pending", "reason": None, "changes": None}
    assert (first.status, first.json["change_set"]) == (200, pending)
    assert (second.status, second.json["change_set"]["status"]) == (200, "ready")
    assert made.status == 201


def test_a_plan_is_a_fault_if_cloudformation_does_not_answer(
    web: Client, project: ProjectId, review: Review
) -> None:
    def throttled() -> None:
        raise DriverFault("Throttling: Rate exceeded")

    published(web, "1.0")
    review.before["describe_change_set"] = throttled

    with nothing_changes():
        path = f"/api/v1/environments/projects/{project}"
        answer = web.post(path, wanted(), query="dry_run=true")

    assert_refused(answer, 503, "driver_fault")
    assert int(answer.headers["retry-after"]) > 0


def test_a_request_with_an_idempotency_key_adds_one_version(web: Client) -> None:
    once = web.with_headers(idempotency_key="k")

    first, again = add(once), add(once)

    assert first.json == again.json
    assert again.headers["idempotent-replayed"] == "true"
    assert len(web.get(VERSIONS).json) == 1


@pytest.mark.parametrize("twin", [True, False], ids=["at once", "later"])
def test_a_repeated_request_leaves_no_extra_secret(
    web: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch, twin: bool
) -> None:
    published(web, "1.0")
    path, once = f"/api/v1/environments/projects/{project}", web.with_headers(idempotency_key="k")
    told: list[Answer] = []
    if twin:
        between.first(
            monkeypatch, "TransactWriteItems", lambda: told.append(once.post(path, wanted()))
        )
    else:
        told.append(once.post(path, wanted()))

    again = once.post(path, wanted())

    assert (again.status, again.raw) == (201, told[0].raw)
    found = boto3.client("ssm").get_parameters_by_path(Path="/slipway", Recursive=True)
    names = [each["Name"] for each in found["Parameters"]]
    assert names == [f"/slipway/environments/{again.json['id']}/Password"]


# --- what it is made of -----------------------------------------------------------------------


def test_resources_are_shown_as_cloudformation_lists_them(
    web: Client, bob: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(web, "1.0")
    made = web.post(f"/api/v1/environments/projects/{project}", wanted()).json["id"]
    here = f"/api/v1/environments/{made}/resources"
    client, others = boto3.client("cloudformation"), boto3.client
    summary = {
        "LogicalResourceId": "Jobs",
        "ResourceType": "AWS::SQS::Queue",
        "LastUpdatedTimestamp": "2026-11-23T01:02:03.456Z",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "The name is taken",
    }
    other = {**summary, "PhysicalResourceId": "jobs-1", "ResourceStatus": "CREATE_COMPLETE"}
    name = {"StackName": f"slipway-env-{scope.stack_suffix(made)}"}
    pages = [
        {"StackResourceSummaries": [summary], "NextToken": "n"},
        {"StackResourceSummaries": [other]},
    ]
    with Stubber(client) as stub:
        stub.add_response("list_stack_resources", pages[0], name)
        stub.add_response("list_stack_resources", pages[1], {**name, "NextToken": "n"})
        stub.add_client_error("list_stack_resources", "ValidationError", "does not exist")
        stub.add_client_error("list_stack_resources", "Throttling", "later")
        monkeypatch.setattr(
            aws, "client", lambda name: client if name == "cloudformation" else others(name)
        )

        shown, gone, throttled = (web.get(here) for _ in range(3))

    assert [each["physical_id"] for each in shown.json] == [None, "jobs-1"]
    assert shown.json[0] == {
        "logical_id": "Jobs",
        "type": "AWS::SQS::Queue",
        "physical_id": None,
        "status": "CREATE_FAILED",
        "reason": "The name is taken",
        "updated_at": "2026-11-23T01:02:03.456Z",
    }
    assert (gone.status, gone.json) == (200, [])
    assert_refused(throttled, 503, "driver_fault")
    assert_refused(bob.get(here), 404, "not_found")


def test_a_simulated_environment_has_no_resources(ann: Client, environment: EnvironmentId) -> None:
    assert ann.get(f"/api/v1/environments/{environment}/resources").json == []
