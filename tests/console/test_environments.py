"""Environments and deployments in the console: forms, refusals, what is shown, what follows."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slipway.aws import template_bodies
from slipway.console import gantt, moments
from slipway.console.pages.inputs import SUPPLIED
from slipway.domain import inputs
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.store import log_records
from tests.support.api.client import Client
from tests.support.console import Browser, Handlers, elements, form, texts
from tests.support.store import world
from tests.support.store.cloudformation import CloudFormation

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TEMPLATE = """
Parameters:
  Version: {Type: String, Default: none}
  Size: {Type: String, AllowedValues: [small, large]}
  Count: {Type: Number, Default: 3, MinValue: 1, MaxValue: 9, Description: How many.}
  Password: {Type: String, NoEcho: true, MinLength: 8}
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups: [{Label: {default: Shape}, Parameters: [Size, Count]}]
    ParameterLabels: {Size: {default: How large}}
Resources: {Jobs: {Type: AWS::SQS::Queue}}
"""


@pytest.fixture
def client(ann: Browser) -> Client:
    """The same person, at the API."""
    me = Client(ann.session.access)
    user_id = me.get("/api/v1/auth/me").json["id"]
    return Client(ann.session.access, user_id)


@pytest.fixture
def project(client: Client) -> ProjectId:
    return world.project(client.principal)


@pytest.fixture
def environment(client: Client, project: ProjectId) -> EnvironmentId:
    made = world.environment(project, client.principal)
    world.comes_up(made)
    return made


@pytest.fixture
def template(client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    client.post("/api/v1/templates", {"name": "jobs"})
    where = "/api/v1/templates/jobs/versions"
    made = client.send("POST", where, TEMPLATE, media="application/yaml")
    assert made.status == 201, made.text
    assert client.post(f"{where}/1.0/publish").status == 200
    return "jobs@1.0"


def test_the_form_of_a_template_has_its_groups_labels_and_constraints(
    ann: Browser, project: ProjectId, template: str
) -> None:
    page = ann.get(f"/console/projects/{project}/new?template=jobs").text

    said = texts(page)
    assert "Shape" in said and "How large" in said and "Other inputs" in said
    assert "How many. At least 1 and at most 9." in said
    named = {each["name"]: each for each in [*elements(page, "input"), *elements(page, "select")]}
    assert named["inputs.Password"]["type"] == "password" and "required" in named["inputs.Password"]
    assert named["inputs.Count"]["value"] == "3"
    assert "inputs.Version" not in named
    assert {each.get("value") for each in elements(page, "option")} >= {"small", "large"}


def test_an_environment_is_made_from_a_template(
    ann: Browser, client: Client, project: ProjectId, template: str
) -> None:
    where = f"/console/projects/{project}/new"
    fields = {"name": "pr-1", "inputs.Size": "small", "inputs.Password": "long enough"}

    made = ann.submit(f"{where}?template=jobs", where, {**fields, "ttl_hours": "0.5"})

    assert made.status == 303, texts(made.text)
    id_ = made.headers["location"].rpartition("/")[2]
    seen = client.get(f"/api/v1/environments/{id_}").json
    assert (seen["name"], seen["template"], seen["ttl_hours"]) == ("pr-1", "jobs@1.0", 0.5)
    assert seen["inputs"] == {"Size": "small", "Count": "3", "Password": "****"}
    page = ann.get(made.headers["location"])
    assert "provisioning" in texts(page.text) and "long enough" not in page.text


def test_what_a_template_does_not_take_stands_beside_its_field_and_no_secret_returns(
    ann: Browser, project: ProjectId, template: str
) -> None:
    where = f"/console/projects/{project}/new"
    fields = {"name": "pr-1", "inputs.Size": "huge", "inputs.Count": "99"}

    page = ann.submit(f"{where}?template=jobs", where, {**fields, "inputs.Password": "very secret"})

    assert page.status == 422
    wrong = [each["id"] for each in elements(page.text, "p") if each.get("class") == "error"]
    assert wrong == ["inputs.Size-error", "inputs.Count-error"]
    assert "very secret" not in page.text
    assert form(page.text, where)["inputs.Count"] == "99"


def test_a_form_that_is_sent_twice_makes_one_environment(
    ann: Browser, client: Client, project: ProjectId
) -> None:
    where = f"/console/projects/{project}/new"
    fields = {**form(ann.get(f"{where}?template=-").text, where), "name": "pr-1"}

    answers = [ann.post(where, fields) for _ in range(2)]

    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(client.get(f"/api/v1/projects/{project}/environments").json) == 1


@pytest.mark.parametrize(
    ("verb", "fields", "path", "body"),
    [
        ("extend", {"ttl_hours": "48"}, "extend", {"ttl_hours": 48}),
        ("extend", {"ttl_hours": "0.5"}, "extend", {"ttl_hours": 0.5}),
        ("pin", {"reason": "demo"}, "pin", {"reason": "demo"}),
    ],
)
def test_a_lease_is_changed_by_a_form(
    ann: Browser,
    reached: Handlers,
    environment: EnvironmentId,
    verb: str,
    fields: dict[str, str],
    path: str,
    body: dict[str, Any],
) -> None:
    page = f"/console/environments/{environment}"

    answer = ann.submit(page, f"{page}/{verb}", fields)

    assert answer.status == 303, texts(answer.text)
    sent = [(where, what) for how, where, _, what in reached.asked if how == "POST"]
    assert sent[-1] == (f"/api/v1/environments/{environment}/{path}", body)
    assert ann.get(answer.headers["location"]).status == 200


@pytest.mark.parametrize("hours", ["", "a", "nan", "inf", "-1", "1e400", "99999999"])
def test_hours_that_are_none_are_refused_beside_the_field(
    ann: Browser, environment: EnvironmentId, hours: str
) -> None:
    page = f"/console/environments/{environment}"

    answer = ann.submit(page, f"{page}/extend", {"ttl_hours": hours})

    assert answer.status in (409, 422)
    assert "extend-ttl_hours-error" in answer.text or answer.status == 409
    assert elements(answer.text, "details")


def test_a_version_is_deployed_and_its_page_follows_the_rollout(
    ann: Browser, client: Client, environment: EnvironmentId
) -> None:
    page = f"/console/environments/{environment}"

    answer = ann.submit(page, f"{page}/deploy", {"version": "v1"})

    assert answer.status == 303
    shown = ann.get(answer.headers["location"]).text
    assert "Deployment of v1" in texts(shown) and "pending" in texts(shown)
    [region] = [each for each in elements(shown, "div") if each.get("id") == "rollout"]
    assert region["data-live"] == answer.headers["location"] + "/rollout"
    assert region["data-tag"]
    queued = texts(ann.get(page).text)
    assert "v1" in queued


def test_a_waiting_deployment_is_canceled_from_the_queue(
    ann: Browser, client: Client, environment: EnvironmentId
) -> None:
    made = world.deployment(environment, client.principal, "v1")
    page = f"/console/environments/{environment}"

    answer = ann.submit(page, f"/console/deployments/{made}/cancel")

    assert answer.headers["location"] == f"{page}?done=canceled"
    assert client.get(f"/api/v1/deployments/{made}").json["status"] == "canceled"


def test_an_environment_is_rolled_back_and_released(
    ann: Browser, client: Client, reached: Handlers, environment: EnvironmentId
) -> None:
    page = f"/console/environments/{environment}"
    where = f"/api/v1/environments/{environment}"
    assert f"{page}/rollback" not in ann.get(page).text
    hold = {"reason": "it is slow", "at": "2026-11-29T09:00:00Z", "by": None}
    shown = client.get(where).json | {"live_version": "v2", "live_deployment_id": "dep_1"}
    reached.answers["GET", where] = (200, {**shown, "hold": hold})
    reached.answers["POST", f"{where}/rollback"] = (201, {"id": "dep_2"})
    reached.answers["DELETE", f"{where}/hold"] = (200, {})

    back = ann.submit(page, f"{page}/rollback", {"reason": "it is slow"})
    released = ann.submit(page, f"{page}/release")

    assert back.headers["location"] == "/console/deployments/dep_2"
    assert "it is slow" in texts(ann.get(page).text)
    assert released.headers["location"] == f"{page}?done=released"
    sent = [(how, what) for how, _, _, what in reached.asked if how in ("POST", "DELETE")]
    assert ("POST", {"reason": "it is slow"}) in sent


def test_a_rollback_with_nothing_before_is_refused_beside_the_form(
    ann: Browser, client: Client, environment: EnvironmentId
) -> None:
    page = f"/console/environments/{environment}"
    form_ = {"reason": "", "csrf": form(ann.get(page).text, f"{page}/extend")["csrf"]}

    answer = ann.post(f"{page}/rollback", form_)

    assert answer.status in (409, 422)
    assert elements(answer.text, "strong")


def test_a_protected_environment_is_destroyed_with_its_name(
    ann: Browser, client: Client, environment: EnvironmentId
) -> None:
    client.patch(f"/api/v1/environments/{environment}", {"protected": True})
    name = client.get(f"/api/v1/environments/{environment}").json["name"]
    page = f"/console/environments/{environment}"

    for wrong in ("other", "é", "a\r\nX-Evil: b", ""):
        refused = ann.submit(page, f"{page}/destroy", {"confirm": wrong})
        assert refused.status == 409, wrong
        assert "confirmation_required" in texts(refused.text)
    done = ann.submit(page, f"{page}/destroy", {"confirm": name})

    assert done.headers["location"] == f"{page}?done=destroying"
    assert "tearing down" in texts(ann.get(page).text)


def test_log_lines_labels_and_outputs_are_shown_as_text(
    ann: Browser, client: Client, environment: EnvironmentId
) -> None:
    client.patch(f"/api/v1/environments/{environment}", {"labels": {"team": EVIL}})
    made = world.deployment(environment, client.principal, "v1")
    log_records.write(made, "ship", "2026-11-29T09:00:00.000Z", EVIL)

    for path in (f"/console/deployments/{made}", f"/console/environments/{environment}"):
        page = ann.get(path)
        assert EVIL in texts(page.text), path
        assert elements(page.text, "img") == []
        assert "<script>alert" not in page.text


def test_a_region_is_answered_when_its_object_has_changed(
    ann: Browser, client: Client, environment: EnvironmentId
) -> None:
    page = f"/console/environments/{environment}"
    regions = {
        each["id"]: each for each in elements(ann.get(page).text, "div") if "data-live" in each
    }
    assert set(regions) == {"summary", "activity"}
    client.patch(f"/api/v1/environments/{environment}", {"labels": {"team": "web"}})
    world.deployment(environment, client.principal, "v2")

    for name, said in (("summary", "team=web"), ("activity", "v2")):
        where, tag = str(regions[name]["data-live"]), str(regions[name]["data-tag"])
        answer = ann.get(where, x_slipway_live=tag)
        assert answer.status == 200
        assert said in texts(answer.text)
        assert "<html" not in answer.text
        assert f'id="{name}"' in answer.text and tag not in answer.text


def test_a_region_waits_by_the_apis_own_preference(
    ann: Browser, reached: Handlers, environment: EnvironmentId
) -> None:
    where = f"/api/v1/environments/{environment}"
    reached.answers["GET", where] = (304, None)

    answer = ann.get(f"/console/environments/{environment}/summary", x_slipway_live='"1"')

    assert (answer.status, answer.raw) == (204, b"")
    headers = reached.asked[-1][2]
    assert (headers["if-none-match"], headers["prefer"]) == ('"1"', "wait=20")


def test_a_foreign_environment_is_not_found(ann: Browser, environment: EnvironmentId) -> None:
    bob = Browser()
    bob.sign_in("bob@example.com")

    for path in ("", "/summary", "/activity", "/events", "/update", "/resources"):
        answer = bob.get(f"/console/environments/{environment}{path}")
        assert answer.status == 404, path
        assert "not_found" in texts(answer.text)
    assert ann.get(f"/console/environments/{environment}").status == 200


def test_the_names_that_slipway_supplies_are_those_of_the_api() -> None:
    assert set(SUPPLIED) == set(inputs.CONVENTIONS)


def test_steps_are_told_from_a_log_and_drawn_on_one_scale() -> None:
    at = "2026-11-29T09:00:0{}Z"
    lines = [
        {"ts": at.format(second), "step": step, "level": level, "message": "m"}
        for second, step, level in ((0, "a", "info"), (1, "a", "info"), (2, "b", "error"))
    ]

    steps = gantt.of_lines(lines, at.format(6))
    drawn = gantt.picture(steps)

    assert [(each.name, each.failed) for each in steps] == [("a", ""), ("b", "m")]
    bars = [(each["x"], each["width"], each["class"]) for each in elements(drawn, "rect")]
    assert bars == [("0.0", "133.3", "done"), ("133.3", "266.7", "failed")]
    assert re.findall(r"<td>(.*?)</td>", drawn)[-1] == "4 s, failed"
    assert gantt.of_lines([], None) == [] and gantt.picture([]) == ""
    assert moments.duration(4) == "4 s"
