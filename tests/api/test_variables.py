"""Variables of environments, projects and tiers: merges, limits, formats, and who may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.rights import TIERS
from slipway.store import environment_records, table
from tests.support.api.client import FORM, JSON, Client
from tests.support.api.people import joins
from tests.support.store import between, world
from tests.support.store.configurations import noise

MERGE = "application/merge-patch+json"


def of(target: object) -> str:
    kind = "environments" if isinstance(target, EnvironmentId) else "projects"
    return f"/api/v1/{kind}/{target}/variables"


def values(client: Client, target: object, **query: str) -> dict[str, tuple[str, str]]:
    answer = client.get(of(target), **query)
    assert answer.status == 200, answer.text
    return {each["name"]: (each["value"], each["source"]) for each in answer.json}


def pointers(answer: Any) -> list[str]:
    assert answer.status == 422, answer.text
    return [each["pointer"] for each in answer.json["errors"]]


def test_a_change_is_a_merge(ann: Client, environment: EnvironmentId) -> None:
    first = ann.patch(of(environment), {"LOG_LEVEL": "info", "PORT": "80"})
    second = ann.patch(of(environment), {"LOG_LEVEL": "debug", "PORT": None, "REGION": "eu"})

    assert (first.status, second.status) == (200, 200), second.text
    assert (first.json["configuration"], second.json["configuration"]) == (1, 2)
    shown = ann.get(of(environment)).json
    assert shown == second.json["variables"]
    assert [(each["name"], each["value"]) for each in shown] == [
        ("LOG_LEVEL", "debug"),
        ("REGION", "eu"),
    ]
    assert shown[0]["source"] == "environment"
    assert shown[0]["updated_by"]["name"] == "ann@example.com"
    assert shown[0]["updated_at"].endswith("Z")


def test_the_nearest_level_decides_and_its_removal_shows_the_one_above(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.patch(of(project), {"A": "project", "B": "project", "C": "project"})
    body = json.dumps({"B": "tier", "C": "tier"})
    assert ann.send("PATCH", of(project), body, query="tier=preview").status == 200
    ann.patch(of(environment), {"C": "own"})

    assert values(ann, environment) == {
        "A": ("project", "project"),
        "B": ("tier", "tier"),
        "C": ("own", "environment"),
    }
    assert values(ann, project, tier="preview") == {
        "A": ("project", "project"),
        "B": ("tier", "tier"),
        "C": ("tier", "tier"),
    }
    assert values(ann, project, tier="staging")["B"] == ("project", "project")
    assert values(ann, project)["C"] == ("project", "project")

    ann.patch(of(environment), {"C": None, "A": None})

    assert values(ann, environment)["C"] == ("tier", "tier")
    assert values(ann, environment)["A"] == ("project", "project")


def test_a_change_of_a_project_is_one_write_and_pending_in_its_environments(
    ann: Client,
    project: ProjectId,
    environment: EnvironmentId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ann.get(of(project))
    made = between.counted(monkeypatch)

    answer = ann.patch(of(project), {"A": "1"})

    assert answer.json["configuration"] == 1
    assert [each.partition(" + ")[0] for each in made] == ["BatchGetItem", "TransactWriteItems"]
    [record] = table.get(environment_records.key(environment))
    assert "configuration" not in record


def test_reading_is_one_round_trip_and_changing_two(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.get(of(environment))
    made = between.counted(monkeypatch)

    ann.get(of(environment))
    assert len(made) == 1
    ann.patch(of(environment), {"A": "1"})
    assert len(made) == 3


def test_what_changes_nothing_makes_no_configuration(
    ann: Client, environment: EnvironmentId
) -> None:
    ann.patch(of(environment), {"A": "1"})
    before = world.everything()

    again = ann.patch(of(environment), {"A": "1", "NOT_THERE": None})

    assert (again.status, again.json["configuration"]) == (200, 1)
    assert world.everything() == before


def test_each_fault_has_a_pointer_and_changes_nothing(
    ann: Client, environment: EnvironmentId
) -> None:
    before = world.everything()

    refused = ann.patch(
        of(environment),
        {
            "1ST": "x",
            "WITH-DASH": "x",
            "": "x",
            "Ü": "x",
            "A" * 129: "x",
            "EMPTY": "",
            "LONG": "x" * 4097,
            "WIDE": "ü" * 2049,
            "NUMBER": 1,
            "LIST": ["x"],
            "NUL": "a\u0000b",
            "MASK": "****",
            "REFERENCE": "{{resolve:ssm:/x}}",
            "BRACE": "x{",
            "FINE": "x" * 4096,
        },
    )

    assert pointers(refused) == [
        *("#/1ST", "#/WITH-DASH", "#/", "#/Ü", "#/" + "A" * 129, "#/EMPTY", "#/LONG", "#/WIDE"),
        *("#/NUMBER", "#/LIST", "#/NUL", "#/MASK", "#/REFERENCE", "#/BRACE"),
    ]
    assert world.everything() == before
    bodies: tuple[Any, ...] = ({}, [], None, "A=1")
    for body in bodies:
        assert ann.patch(of(environment), body).status == 422


def test_a_name_that_is_given_twice_is_refused(ann: Client, environment: EnvironmentId) -> None:
    for body, media in (
        ('{"A": "1", "A": "2"}', JSON),
        ("A=1&A=2", FORM),
        ("A=1\nB=2\nA=3\n", "text/plain"),
    ):
        assert pointers(ann.send("PATCH", of(environment), body, media=media)) == ["#/A"]


def test_two_hundred_values_of_four_kilobytes_fit_and_one_more_does_not(
    ann: Client, environment: EnvironmentId
) -> None:
    most = {f"N{n}": noise(n) for n in range(200)}

    answer = ann.patch(of(environment), most)

    assert answer.status == 200, answer.text
    assert {each["name"]: each["value"] for each in answer.json["variables"]} == most
    before = world.everything()
    assert pointers(ann.patch(of(environment), {"ONE_MORE": "x"})) == ["#"]
    assert world.everything() == before
    # In one request, others can take their place.
    swapped = ann.patch(of(environment), {"N0": None, "ONE_MORE": "x"})
    assert len(swapped.json["variables"]) == 200


def test_values_that_are_escaped_twice_on_their_way_are_limited_in_all(
    ann: Client, environment: EnvironmentId
) -> None:
    """Lambda answers with at most 6 MB of JSON, in which the body is escaped once more."""
    quotes = {f"N{n}": '"' * 4096 for n in range(109)}

    assert ann.patch(of(environment), quotes).status == 200
    assert pointers(ann.patch(of(environment), {"MORE": '"' * 4096})) == ["#"]
    assert len(json.dumps({"body": ann.get(of(environment)).text})) < 4_000_000


def test_the_names_of_a_project_and_its_tier_are_counted_together(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.patch(of(project), {f"P{n}": "x" for n in range(150)})
    body = json.dumps({f"T{n}": "x" for n in range(51)})

    assert pointers(ann.send("PATCH", of(project), body, query="tier=staging")) == ["#"]
    body = json.dumps({f"T{n}": "x" for n in range(50)})
    assert ann.send("PATCH", of(project), body, query="tier=staging").status == 200
    assert pointers(ann.patch(of(project), {"ONE_MORE": "x"})) == ["#"]
    assert ann.patch(of(environment), {f"E{n}": "x" for n in range(50)}).status == 200
    assert pointers(ann.patch(of(environment), {"ONE_MORE": "x"})) == ["#"]


def test_an_environment_that_grew_by_its_project_can_be_made_smaller(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.patch(of(environment), {f"E{n}": "x" for n in range(150)})
    ann.patch(of(project), {f"P{n}": "x" for n in range(100)})

    assert len(values(ann, environment)) == 250
    assert pointers(ann.patch(of(environment), {"MORE": "x"})) == ["#"]
    assert ann.patch(of(environment), {"E0": None}).status == 200
    assert len(values(ann, environment)) == 249


def test_twenty_changes_at_once_are_serial_and_none_is_lost(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(n: int) -> Any:
        return lambda: ann.patch(of(environment), {f"N{n}": str(n), "SHARED": str(n)})

    answers: list[Any] = between.at_once(monkeypatch, *map(change, range(20)))

    assert [each.status for each in answers] == [200] * 20
    assert sorted(each.json["configuration"] for each in answers) == list(range(1, 21))
    shown = values(ann, environment)
    assert {name: value for name, (value, _) in shown.items() if name != "SHARED"} == {
        f"N{n}": str(n) for n in range(20)
    }
    heads = ann.get(f"/api/v1/environments/{environment}/configurations", limit=100).json
    assert [each["number"] for each in heads] == list(range(20, 0, -1))
    assert [each["variables"] for each in reversed(heads)] == list(range(2, 22))


def test_changes_of_a_project_and_its_tiers_at_once_lose_none(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(n: int) -> Any:
        query = ("", "tier=preview", "tier=staging", "tier=production")[n % 4]
        body = json.dumps({f"N{n}": str(n)})
        return lambda: ann.send("PATCH", of(project), body, query=query)

    answers: list[Any] = between.at_once(monkeypatch, *map(change, range(12)))

    assert [each.status for each in answers] == [200] * 12
    assert values(ann, environment).keys() == {"N0", "N1", "N4", "N5", "N8", "N9"}
    [record] = table.get(table.Key(f"PROJECT#{project.p}", "PROJECT"))
    assert record["configurations"] == dict.fromkeys(("project", *TIERS), 3)


# --- formats ------------------------------------------------------------------------------


def test_what_is_exported_can_be_imported(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    sent = {
        "PLAIN": "a-b_c/d:1",
        "SPACES": "  a  b ",
        "QUOTES": 'it\'s "so"',
        "LINES": "one\ntwo\r\n\tthree\\n",
        "HASH": "a # b",
        "DOLLAR": "$HOME ${HOME}",
        "JSON": '{"a": [1, "ü"]}',
        "EQUALS": "a=b&c=d+e%20",
    }
    assert ann.patch(of(environment), sent).status == 200

    for media in ("text/plain", MERGE):
        exported = ann.with_headers(accept=media).get(of(environment))
        assert exported.headers["content-type"] == media
        assert (exported.headers["vary"], exported.headers["cache-control"]) == (
            "Accept",
            "no-store",
        )
        other = world.environment(project, ann.principal, f"other {media[:4]}")
        imported = ann.send("PATCH", of(other), exported.text, media=media)
        assert imported.status == 200, imported.text
        assert {name: value for name, (value, _) in values(ann, other).items()} == sent
    assert ann.with_headers(accept="text/html,*/*").get(of(environment)).json


def test_a_form_sets_variables(ann: Client, environment: EnvironmentId) -> None:
    fields = "&".join(f"N{n}=a%26b+{n}" for n in range(200))

    answer = ann.send("PATCH", of(environment), fields, media=FORM)

    assert answer.status == 200, answer.text
    assert values(ann, environment)["N199"] == ("a&b 199", "environment")


def test_a_line_that_is_no_assignment_is_told_by_its_number_alone(
    ann: Client, environment: EnvironmentId
) -> None:
    body = "A=1\n# fine\n\nhunter2 is my password\n"

    refused = ann.send("PATCH", of(environment), body, media="text/plain")

    assert (refused.status, "Line 4" in refused.json["detail"]) == (400, True)
    assert "hunter2" not in refused.text
    assert ann.send("PATCH", of(environment), b"\xff", media="text/plain").status == 400


# --- who may ------------------------------------------------------------------------------


def test_who_is_no_member_sees_and_changes_nothing(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    for target in (project, environment):
        assert bob.get(of(target)).status == 404
        assert bob.patch(of(target), {"A": "1"}).status == 404


def test_a_deployer_changes_variables_of_previews_alone(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    joins(project, bob, "deployer")
    live = world.environment(project, ann.principal, "live", tier="production")

    assert bob.patch(of(environment), {"A": "1"}).status == 200
    assert bob.patch(of(live), {"A": "1"}).status == 403
    assert bob.patch(of(project), {"A": "1"}).status == 403
    body = '{"A": "1"}'
    assert bob.send("PATCH", of(project), body, query="tier=production").status == 403
    assert bob.send("PATCH", of(project), body, query="tier=preview").status == 200


def test_an_environment_that_ends_takes_no_variables(
    ann: Client, environment: EnvironmentId
) -> None:
    ann.patch(of(environment), {"A": "1"})
    ann.delete(f"/api/v1/environments/{environment}")

    refused = ann.patch(of(environment), {"B": "1"})

    assert (refused.status, refused.json["code"]) == (409, "environment_going")
    assert values(ann, environment) == {"A": ("1", "environment")}


def test_a_change_is_an_event_and_an_audit_entry_without_values(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    ann.patch(of(environment), {"A_NAME": "a value", "B_NAME": "b value"})
    ann.patch(of(project), {"C_NAME": "c value"})

    entries = ann.get(f"/api/v1/projects/{project}/audit").json
    [record] = table.get(environment_records.key(environment))
    assert record["change"]["action"] == "configured"
    assert record["change"]["reason"] == "configuration 1: set A_NAME, B_NAME"
    assert [(e["action"], e["target"]["name"], e["after"]) for e in entries[:2]] == [
        (
            "variables:change",
            "payments",
            {"level": "project", "version": 1, "change": "set C_NAME"},
        ),
        (
            "variables:change",
            "preview",
            {"configuration": 1, "change": "set A_NAME, B_NAME"},
        ),
    ]
    assert " value" not in json.dumps(entries)
