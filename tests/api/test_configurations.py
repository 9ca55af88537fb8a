"""Configurations that an environment has had: list, read, compare, restore, purge."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from slipway.aws import configurations
from slipway.domain import configuration
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import stored_secrets
from slipway.settings import settings
from slipway.store import environment_records, table
from slipway.store.table import Update
from slipway.store.wire import decode
from tests.support.api.client import Client
from tests.support.api.people import joins
from tests.support.secret_store import stored
from tests.support.store import between, world


def of(environment: EnvironmentId, more: object = "") -> str:
    return f"/api/v1/environments/{environment}/configurations{more and f'/{more}'}"


def sets(client: Client, target: object, query: str = "", **values: str | None) -> Any:
    kind = "environments" if isinstance(target, EnvironmentId) else "projects"
    answer = client.send(
        "PATCH", f"/api/v1/{kind}/{target}/variables", json.dumps(values), query=query
    )
    assert answer.status == 200, answer.text
    return answer.json


def secret(client: Client, target: object, name: str, value: str) -> None:
    kind = "environments" if isinstance(target, EnvironmentId) else "projects"
    path = f"/api/v1/{kind}/{target}/secrets/{name}"
    assert client.send("PUT", path, json.dumps({"value": value})).status == 200


def values(client: Client, environment: EnvironmentId, more: str = "") -> dict[str, str]:
    path = f"/api/v1/environments/{environment}/variables"
    found = client.get(path).json if not more else client.get(of(environment, more)).json
    shown = found["variables"] if more else found
    return {each["name"]: each["value"] for each in shown}


def purge(client: Client, target: object, name: str, query: str = "") -> Any:
    kind = "environments" if isinstance(target, EnvironmentId) else "projects"
    path = f"/api/v1/{kind}/{target}/configurations/purge"
    return client.send("POST", path, json.dumps({"name": name}), query=query)


def in_the_table(text: str) -> list[str]:
    """Where the table has the text, also in what is deflated in one slice."""
    found = []
    for item in map(decode, world.everything()):
        data = item.pop("data", None)
        if data is not None:
            item["data"] = configuration.unpacked([data])
        if text in json.dumps(item, default=str):
            found.append(f"{item['pk']} {item['sk']}")
    return found


def test_each_change_is_a_numbered_configuration_with_author_time_and_reason(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    sets(ann, project, A="0")
    sets(ann, environment, A="1", B="1")
    secret(ann, environment, "S", "a secret")
    sets(ann, environment, A="2", B=None)

    listed = ann.get(of(environment)).json

    assert [(each["number"], each["reason"]) for each in listed] == [
        (3, "set A; removed B"),
        (2, "set S"),
        (1, "set A, B"),
    ]
    assert listed[0]["by"]["name"] == "ann@example.com"
    assert (listed[0]["variables"], listed[0]["secrets"]) == (1, 1)
    assert listed[0]["levels"] == {"project": 1, "environment": 3}
    read = ann.get(of(environment, 2)).json
    assert (read["number"], read["tier"], read["restored"]) == (2, "preview", None)
    assert [(v["name"], v["value"], v["source"]) for v in read["variables"]] == [
        ("A", "1", "environment"),
        ("B", "1", "environment"),
    ]
    assert [(s["name"], s["version"], s["source"]) for s in read["secrets"]] == [
        ("S", 1, "environment")
    ]


def test_the_list_has_pages(ann: Client, environment: EnvironmentId) -> None:
    for n in range(5):
        sets(ann, environment, A=str(n))

    first = ann.get(of(environment), limit=2)
    query = first.headers["link"].partition("?")[2].partition(">")[0]
    second = ann.send("GET", of(environment), query=query)

    assert [[each["number"] for each in page.json] for page in (first, second)] == [[5, 4], [3, 2]]


def test_a_configuration_that_is_not_there_is_not_found(
    ann: Client, bob: Client, environment: EnvironmentId
) -> None:
    sets(ann, environment, A="1")

    for number in ("0", "2", "01", "-1", "x", "1e1", "9" * 30, "²"):
        assert ann.get(of(environment, number)).status == 404, number
        assert ann.post(of(environment, f"{number}/restore"), None).status == 404, number
    assert ann.get(of(environment, "1/diff/7")).status == 404
    for path in (of(environment), of(environment, 1), of(environment, "1/diff/0")):
        assert bob.get(path).status == 404
    assert bob.post(of(environment, "1/restore"), None).status == 404
    assert purge(bob, environment, "A").status == 404


def test_two_configurations_are_compared(ann: Client, environment: EnvironmentId) -> None:
    sets(ann, environment, A="1", B="1", C="1")
    secret(ann, environment, "S", "a secret")
    sets(ann, environment, A="2", B=None, D="1")
    secret(ann, environment, "S", "another")

    found = ann.get(of(environment, "1/diff/4")).json

    assert [tuple(each.values()) for each in found] == [
        ("A", "changed", "variable", "1", "2"),
        ("B", "removed", "variable", "1", None),
        ("D", "added", "variable", None, "1"),
        ("S", "added", "secret", None, None),
    ]
    assert [each["change"] for each in ann.get(of(environment, "2/diff/4")).json][-1] == "changed"
    assert ann.get(of(environment, "3/diff/3")).json == []
    assert len(ann.get(of(environment, "0/diff/1")).json) == 3
    page = ann.get(of(environment, "1/diff/4"), limit=2)
    query = page.headers["link"].partition("?")[2].partition(">")[0]
    rest = ann.send("GET", of(environment, "1/diff/4"), query=query)
    assert [each["name"] for each in page.json + rest.json] == ["A", "B", "D", "S"]
    assert "link" not in rest.headers


def test_reading_and_comparing_is_one_round_trip(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets(ann, environment, A="1")
    made = between.counted(monkeypatch)

    for more in ("", "1", "0/diff/1"):
        ann.get(of(environment, more))

    assert len(made) == 3


def test_a_restored_configuration_is_a_new_number_with_the_old_content(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    sets(ann, project, ABOVE="1", KEPT="1")
    sets(ann, environment, A="1")
    secret(ann, environment, "S", "first")
    sets(ann, environment, A=None, B="2")
    secret(ann, environment, "S", "second")
    sets(ann, project, ABOVE="2", GAINED="1")

    answer = ann.post(of(environment, "2/restore"), None)

    assert (answer.status, answer.json["configuration"]) == (200, 5), answer.text
    assert (
        values(ann, environment) == values(ann, environment, "2") == values(ann, environment, "5")
    )
    assert values(ann, environment) == {"A": "1", "ABOVE": "1", "KEPT": "1"}
    reveal = f"/api/v1/environments/{environment}/secrets/S/reveal"
    assert ann.post(reveal, None).json["value"] == "first"
    head = ann.get(of(environment, 5)).json
    assert (head["restored"], head["reason"]) == (2, "restored configuration 2")
    sources = {each["name"]: each["source"] for each in head["variables"]}
    assert sources == {"A": "environment", "ABOVE": "environment", "KEPT": "project"}
    # What it lacked is inherited again once it is removed here, too.
    sets(ann, environment, GAINED=None)
    assert values(ann, environment)["GAINED"] == "1"
    # Nothing to do.
    sets(ann, environment, GAINED="1")
    again = ann.post(of(environment, "7/restore"), None)
    assert again.json["configuration"] == 7


def test_a_deployer_restores_previews_and_purges_nothing(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    joins(project, bob, "deployer")
    sets(ann, environment, A="1")
    sets(ann, environment, A="2")

    assert bob.post(of(environment, "1/restore"), None).status == 200
    assert purge(bob, environment, "A").status == 403
    assert purge(bob, project, "A").status == 403


def test_a_value_is_purged_from_all_configurations_of_an_environment(
    ann: Client, environment: EnvironmentId
) -> None:
    sets(ann, environment, LEAKED="hunter2", A="1")
    sets(ann, environment, A="2")
    sets(ann, environment, LEAKED="hunter22", A="3")
    secret(ann, environment, "OTHER", "x")

    answer = purge(ann, environment, "LEAKED")

    assert (answer.status, answer.json["configuration"]) == (200, 5), answer.text
    assert in_the_table("hunter2") == []
    for number in (1, 2, 3, 4):
        read = ann.get(of(environment, number)).json
        assert [each["name"] for each in read["variables"]] == ["A"]
        assert read["purged"] == ["LEAKED"]
    assert ann.get(of(environment)).json[-1]["variables"] == 1
    assert ann.post(of(environment, "1/restore"), None).status == 200
    assert values(ann, environment) == {"A": "1"}
    # The name can be used again, and what is set then stays.
    sets(ann, environment, LEAKED="new")
    assert values(ann, environment, "7") == {"A": "1", "LEAKED": "new"}


def test_a_secret_is_purged_with_all_its_values(ann: Client, environment: EnvironmentId) -> None:
    for value in ("one", "two"):
        secret(ann, environment, "LEAKED", value)

    assert purge(ann, environment, "LEAKED").status == 200

    assert stored() == {}
    assert ann.get(f"/api/v1/environments/{environment}/secrets").json == []
    assert ann.get(of(environment, 1)).json["purged"] == ["LEAKED"]


def test_what_a_project_purges_goes_from_the_configurations_that_inherited_it(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    other = world.environment(project, ann.principal, "other")
    sets(ann, project, LEAKED="hunter2")
    sets(ann, environment, A="1")
    sets(ann, other, LEAKED="its own")
    sets(ann, other, A="1")

    answer = purge(ann, project, "LEAKED")

    assert answer.status == 200, answer.text
    assert in_the_table("hunter2") == []
    assert values(ann, environment, "1") == {"A": "1"}
    assert values(ann, other, "1") == {"LEAKED": "its own"}


def test_what_is_purged_is_shown_no_more_before_it_is_taken_out(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dies(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Dies

    sets(ann, project, LEAKED="hunter2")
    sets(ann, environment, A="1")
    monkeypatch.setattr(stored_secrets, "carry_out", dies)
    with pytest.raises(Dies):
        purge(ann, project, "LEAKED")
    monkeypatch.undo()

    assert ann.get(of(environment, 1)).json["purged"] == ["LEAKED"]
    assert values(ann, environment, "1") == {"A": "1"}
    assert in_the_table("hunter2") != []
    [note] = [i for i in map(decode, world.everything()) if i["sk"].startswith("SECRETS_STORED")]
    stored_secrets.carry_out(table.Key(note["pk"], note["sk"]), note)
    assert in_the_table("hunter2") == []


def test_what_deployments_have_brought_is_purged_where_the_configuration_had_it(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    sets(ann, project, LEAKED="hunter2")
    sets(ann, environment, A="1")
    sets(ann, environment, LEAKED="its own")
    ssm = boto3.client("ssm", region_name=settings().region)
    names = [configurations.path(str(environment), n) + "LEAKED" for n in (1, 2)]
    for name in names:
        ssm.put_parameter(Name=name, Value="x", Type="String")
    change = Update(environment_records.key(environment), "ADD delivered :n", {"n": {"1", "2"}})
    table.write(change)

    assert purge(ann, project, "LEAKED").status == 200

    [left] = ssm.describe_parameters()["Parameters"]
    assert left["Name"] == names[1]
