"""Secrets: where their values are and are not, who reveals them, and what is left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from slipway import aws
from slipway.aws import secret_values
from slipway.domain import configuration
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import DriverFault
from slipway.services import stored_secrets
from slipway.settings import settings
from slipway.store import table
from slipway.store.wire import decode
from tests.support.api.client import CONTEXT, Client
from tests.support.api.people import joins
from tests.support.repository import ROOT, load_function
from tests.support.secret_store import stored
from tests.support.store import between, world

RECONCILE = ROOT / "functions" / "events" / "reconcile"
VALUE = "correct horse battery staple"
ARN = "arn:aws:ssm:eu-central-1:123456789012:parameter"


def of(target: object, name: str = "", more: str = "") -> str:
    kind = "environments" if isinstance(target, EnvironmentId) else "projects"
    return f"/api/v1/{kind}/{target}/secrets{name and f'/{name}'}{more}"


def put(client: Client, target: object, name: str, query: str = "", **body: str) -> Any:
    return client.send("PUT", of(target, name), json.dumps(body), query=query)


def reveal(client: Client, target: object, name: str, query: str = "") -> Any:
    return client.send("POST", of(target, name, "/reveal"), "null", query=query)


def notes() -> list[dict[str, Any]]:
    items = map(decode, world.everything())
    return [each for each in items if each["sk"].startswith("SECRETS")]


def carry_out_notes() -> None:
    for note in notes():
        stored_secrets.carry_out(table.Key(note["pk"], note["sk"]), note)


@pytest.fixture
def source(aws: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Allow these beginnings of ARNs."""

    def allow(*beginnings: str) -> None:
        monkeypatch.setenv("SECRET_SOURCES", ",".join(beginnings))

    return allow


def parameter(name: str, value: str = VALUE) -> None:
    ssm = boto3.client("ssm", region_name=settings().region)
    ssm.put_parameter(Name=name, Value=value, Type="SecureString")


def test_a_secret_is_set_and_shown_without_its_value(
    ann: Client, environment: EnvironmentId
) -> None:
    first = put(ann, environment, "PASSWORD", value=VALUE)
    second = put(ann, environment, "PASSWORD", value="another")

    assert (first.status, second.status) == (200, 200), second.text
    assert (first.json["configuration"], second.json["configuration"]) == (1, 2)
    [shown] = ann.get(of(environment)).json
    assert shown.pop("updated_at").endswith("Z")
    assert shown.pop("updated_by")["name"] == "ann@example.com"
    assert shown == {"name": "PASSWORD", "version": 2, "source": "environment", "from": None}
    assert sorted(stored().values()) == ["another", VALUE]
    assert notes() == []


def test_a_value_is_in_the_parameter_store_and_nowhere_else(
    ann: Client,
    project: ProjectId,
    environment: EnvironmentId,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = [
        put(ann, environment, "PASSWORD", value=VALUE).text,
        put(ann, project, "PASSWORD", value=VALUE, query="tier=preview").text,
        put(ann, environment, "EMPTY", value="").text,
        ann.with_headers(idempotency_key="k1")
        .send("PUT", of(environment, "PASSWORD"), json.dumps({"value": VALUE, "more": 1}))
        .text,
    ]
    revealed = ann.with_headers(idempotency_key="k2").post(
        of(environment, "PASSWORD", "/reveal"), None
    )
    assert revealed.json == {"name": "PASSWORD", "version": 1, "value": VALUE}
    assert revealed.headers["cache-control"] == "no-store"
    texts += [
        ann.get(of(environment)).text,
        ann.get(of(project), tier="preview").text,
        ann.get(f"/api/v1/environments/{environment}").text,
        ann.get(f"/api/v1/environments/{environment}/configurations/1").text,
        ann.get(f"/api/v1/environments/{environment}/configurations").text,
        ann.get(f"/api/v1/environments/{environment}/variables").text,
        ann.get(f"/api/v1/projects/{project}/audit").text,
        json.dumps(world.everything()),
        repr(world.stream()),
        capsys.readouterr().out,
    ]

    assert [text for text in texts if VALUE in text] == []
    # The table's compressed items do not have it either.
    for item in map(decode, world.everything()):
        if isinstance(item.get("data"), bytes):
            assert VALUE not in json.dumps(configuration.unpacked([item["data"]]))


def test_a_revelation_is_audited_before_the_value_is_read(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ann, environment, "PASSWORD", value=VALUE)

    def fails(places: Any) -> Any:
        raise DriverFault("throttled")

    monkeypatch.setattr(secret_values, "read", fails)
    assert reveal(ann, environment, "PASSWORD").status == 503

    entry = ann.get(f"/api/v1/projects/{project}/audit").json[0]
    assert (entry["action"], entry["target"]) == (
        "secrets:reveal",
        {"id": str(environment), "name": "preview"},
    )
    assert entry["after"] == {"revealed": "PASSWORD", "secret_version": 1}


@pytest.mark.parametrize(
    ("kind", "scopes", "status"),
    [
        ("personal", ["config"], 200),
        ("personal", ["read", "deploy", "environments", "destroy", "members"], 403),
        ("ci", ["config"], 403),
        ("agent", ["config"], 403),
    ],
)
def test_only_a_person_with_the_scope_config_reveals(
    kind: str, scopes: list[str], status: int, ann: Client, environment: EnvironmentId
) -> None:
    put(ann, environment, "PASSWORD", value=VALUE)
    body = {"name": "a token", "kind": kind, "scopes": scopes}
    token = ann.post("/api/v1/auth/tokens", body).json["token"]

    answer = reveal(Client(token), environment, "PASSWORD")

    assert answer.status == status, answer.text
    assert (VALUE in answer.text) == (status == 200)


def test_a_deployer_sets_secrets_of_previews_and_reveals_none(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    joins(project, bob, "deployer")
    put(ann, project, "SHARED", value=VALUE)

    assert put(bob, environment, "OWN", value="x").status == 200
    assert put(bob, project, "OTHER", value="x").status == 403
    for name in ("OWN", "SHARED"):
        refused = reveal(bob, environment, name)
        assert (refused.status, refused.json["required_role"]) == (403, "maintainer")
    assert [each["name"] for each in bob.get(of(environment)).json] == ["OWN", "SHARED"]


def test_who_is_no_member_sees_no_secret(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    put(ann, environment, "PASSWORD", value=VALUE)
    before = world.everything(), stored()

    for target in (project, environment):
        assert bob.get(of(target)).status == 404
        assert put(bob, target, "PASSWORD", value="x").status == 404
        assert reveal(bob, target, "PASSWORD").status == 404
        assert bob.delete(of(target, "PASSWORD")).status == 404
    assert (world.everything(), stored()) == before


def test_a_name_is_a_variable_or_a_secret(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    variables = f"/api/v1/environments/{environment}/variables"
    ann.patch(variables, {"PLAIN": "x"})
    put(ann, project, "HIDDEN", value=VALUE)
    before = world.everything(), stored()

    for refused in (
        put(ann, environment, "PLAIN", value="x"),
        ann.patch(variables, {"HIDDEN": "x", "NEW": "y"}),
        ann.patch(f"/api/v1/projects/{project}/variables", {"HIDDEN": "x"}),
        ann.send(
            "PATCH",
            f"/api/v1/projects/{project}/variables",
            '{"HIDDEN": "x"}',
            query="tier=staging",
        ),
    ):
        assert (refused.status, refused.json["code"]) == (409, "name_in_use"), refused.text
        assert refused.json["errors"][0]["pointer"] in ("#/PLAIN", "#/HIDDEN")
    assert (world.everything(), stored()) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"value": ""}, "#/value"),
        ({"value": "x" * 4097}, "#/value"),
        ({"value": "ü" * 2049}, "#/value"),
        ({"value": "****"}, "#/value"),
        ({"value": "a\u0000b"}, "#/value"),
        ({"value": "{{ssm:/x}}"}, "#/value"),
        ({"value": 1}, "#/value"),
        ({}, "#"),
        ({"value": "x", "from": "/x"}, "#"),
        ({"from": ""}, "#/from"),
        ({"value": "x", "extra": 1}, "#/extra"),
    ],
)
def test_a_bad_body_is_refused_with_a_pointer(
    body: Any, pointer: str, ann: Client, environment: EnvironmentId
) -> None:
    before = world.everything(), stored()

    refused = put(ann, environment, "PASSWORD", **body)

    assert refused.status == 422, refused.text
    assert [each["pointer"] for each in refused.json["errors"]] == [pointer]
    assert (world.everything(), stored()) == before


@pytest.mark.parametrize("name", ["1ST", "WITH-DASH", "A" * 129, "A.B", "%C3%9C"])
def test_a_bad_name_is_refused(name: str, ann: Client, environment: EnvironmentId) -> None:
    assert put(ann, environment, name, value="x").status == 422
    assert ann.delete(of(environment, name)).status == 422
    assert reveal(ann, environment, name).status == 422


def test_a_secret_is_removed_from_its_level_only(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    put(ann, project, "PASSWORD", value="of the project")
    assert ann.delete(of(environment, "PASSWORD")).status == 404
    put(ann, environment, "PASSWORD", value="its own")

    removed = ann.delete(of(environment, "PASSWORD"))

    assert (removed.status, removed.json["configuration"]) == (200, 2)
    [left] = ann.get(of(environment)).json
    assert left["source"] == "project"
    assert reveal(ann, environment, "PASSWORD").json["value"] == "of the project"


def test_three_round_trips_set_a_secret(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.get(of(environment))
    made = between.counted(monkeypatch)

    put(ann, environment, "PASSWORD", value=VALUE)

    assert made == ["BatchGetItem", "PutItem", "TransactWriteItems"]


def test_twenty_secrets_at_once_are_serial_and_none_is_lost(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(n: int) -> Any:
        return lambda: put(ann, environment, f"S{n % 10}", value=f"value {n}")

    answers: list[Any] = between.at_once(monkeypatch, *map(change, range(20)))

    assert [each.status for each in answers] == [200] * 20
    assert sorted(each.json["configuration"] for each in answers) == list(range(1, 21))
    for n in range(10):
        of_name = [each.json for each in answers if each.json["name"] == f"S{n}"]
        assert sorted(each["version"] for each in of_name) == [1, 2]
        value = reveal(ann, environment, f"S{n}").json["value"]
        assert value in (f"value {n}", f"value {n + 10}")
    assert (len(stored()), notes()) == (20, [])


def test_only_the_last_values_of_a_name_are_kept(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(23):
        put(ann, environment, "PASSWORD", value=f"value {n}")

    assert sorted(stored().values()) == sorted(f"value {n}" for n in range(3, 23))
    assert notes() == []
    restored = ann.post(f"/api/v1/environments/{environment}/configurations/1/restore", None)
    assert (restored.status, restored.json["code"]) == (409, "secrets_gone")
    assert restored.json["names"] == ["PASSWORD"]


# --- what is left behind ------------------------------------------------------------------


def test_a_refused_change_leaves_no_value(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody makes the name a variable after it was looked at."""
    variables = f"/api/v1/environments/{environment}/variables"
    between.first(
        monkeypatch, "TransactWriteItems", lambda: ann.patch(variables, {"PASSWORD": "x"})
    )

    refused = put(ann, environment, "PASSWORD", value=VALUE)

    assert (refused.status, refused.json["code"]) == (409, "name_in_use")
    assert (stored(), notes()) == ({}, [])


def test_a_request_that_dies_leaves_a_note_by_which_the_value_is_removed(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dies(BaseException):
        pass

    def dies() -> None:
        raise Dies

    between.first(monkeypatch, "TransactWriteItems", dies)
    with pytest.raises(Dies):
        put(ann, environment, "PASSWORD", value=VALUE)
    [note] = notes()
    assert note["places"] == list(stored())
    assert note["due"].startswith("DUE#")

    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Slipway")
    told = load_function(RECONCILE).handler({"ahead_minutes": 61}, CONTEXT)

    assert (told["repaired"], told["failed"]) == (1, 0)
    assert (stored(), notes()) == ({}, [])


def test_a_parameter_store_that_fails_leaves_nothing(
    ann: Client, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise DriverFault("throttled")

    real = aws.call
    monkeypatch.setattr(aws, "call", fails)
    answer = put(ann, environment, "PASSWORD", value=VALUE)
    monkeypatch.setattr(aws, "call", real)

    assert answer.status == 503
    assert ann.get(of(environment)).json == []
    carry_out_notes()
    assert (stored(), notes()) == ({}, [])


def test_the_secrets_of_a_deleted_project_are_removed(ann: Client, project: ProjectId) -> None:
    put(ann, project, "ONE", value=VALUE)
    put(ann, project, "TWO", value=VALUE, query="tier=production")
    other = world.project(ann.principal, "other")
    put(ann, other, "THREE", value="stays")

    assert ann.delete(f"/api/v1/projects/{project}").status == 204
    carry_out_notes()

    assert list(stored().values()) == ["stays"]
    assert notes() == []


# --- sources ------------------------------------------------------------------------------


def test_a_value_is_copied_from_a_parameter_that_the_platform_allows(
    ann: Client, environment: EnvironmentId, source: Any
) -> None:
    source(f"{ARN}/shared/")
    parameter("/shared/db/password")

    for origin in ("/shared/db/password", f"{ARN}/shared/db/password"):
        answer = put(ann, environment, "PASSWORD", **{"from": origin})
        assert (answer.status, answer.json["from"]) == (200, origin), answer.text
        assert reveal(ann, environment, "PASSWORD").json["value"] == VALUE
    # It is a copy: a later value takes another request.
    boto3.client("ssm", region_name=settings().region).put_parameter(
        Name="/shared/db/password", Value="later", Type="SecureString", Overwrite=True
    )
    assert reveal(ann, environment, "PASSWORD").json["value"] == VALUE


def test_a_value_is_copied_from_secrets_manager(
    ann: Client, environment: EnvironmentId, source: Any
) -> None:
    source("arn:aws:secretsmanager:eu-central-1:123456789012:secret:shared/")
    client = boto3.client("secretsmanager", region_name=settings().region)
    arn = client.create_secret(Name="shared/db", SecretString=VALUE)["ARN"]

    answer = put(ann, environment, "PASSWORD", **{"from": arn})

    assert answer.status == 200, answer.text
    assert reveal(ann, environment, "PASSWORD").json["value"] == VALUE


@pytest.mark.parametrize(
    "origin",
    [
        "/other/password",
        "/sharedness",
        f"{ARN}/other/password",
        f"{ARN}/shared",
        "arn:aws:ssm:us-east-1:123456789012:parameter/shared/password",
        "arn:aws:ssm:eu-central-1:210987654321:parameter/shared/password",
        "arn:aws:s3:::shared",
        "/shared/../other",
        "/shared/password:1",
        "/shared//password",
        "/shared/*",
        "/slipway-dev/environments/x/secrets/Y/z",
        "../shared/x",
        "/shared/does-not-exist",
    ],
)
def test_what_no_prefix_allows_is_refused_alike(
    origin: str, ann: Client, environment: EnvironmentId, source: Any
) -> None:
    source(f"{ARN}/shared/")
    for name in ("/other/password", "/sharedness", "/shared/password"):
        parameter(name)
    before = world.everything(), stored()

    refused = put(ann, environment, "PASSWORD", **{"from": origin})

    assert refused.status == 422, refused.text
    assert [each["pointer"] for each in refused.json["errors"]] == ["#/from"]
    assert VALUE not in refused.text
    assert (world.everything(), stored()) == before


def test_nothing_is_a_source_unless_the_platform_says_so(
    ann: Client, environment: EnvironmentId
) -> None:
    parameter("/shared/password")

    assert put(ann, environment, "PASSWORD", **{"from": "/shared/password"}).status == 422


def test_a_source_can_be_of_one_project_and_one_tier(
    ann: Client, project: ProjectId, environment: EnvironmentId, source: Any
) -> None:
    source(f"{ARN}/teams/{{project_id}}/", f"{ARN}/tiers/{{tier}}/")
    other = world.project(ann.principal, "other")
    names = [f"/teams/{project}/x", f"/teams/{other}/x", "/tiers/preview/x", "/tiers/production/x"]
    for name in (*names, "/teams/{project_id}/x"):
        parameter(name) if "{" not in name else None

    def status(target: object, name: str, query: str = "") -> int:
        return int(put(ann, target, "PASSWORD", query, **{"from": name}).status)

    assert [status(environment, name) for name in names] == [200, 422, 200, 422]
    assert [status(project, name) for name in names] == [200, 422, 422, 422]
    assert [status(project, name, "tier=production") for name in names] == [200, 422, 422, 200]


def test_a_secret_that_slipway_keeps_is_no_source_whatever_is_allowed(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId, source: Any
) -> None:
    """Another project's secret, by the name of its parameter."""
    source(f"{ARN}/")
    mine = world.project(bob.principal, "mine")
    target = world.environment(mine, bob.principal)
    world.comes_up(target)
    put(ann, environment, "PASSWORD", value=VALUE)
    [place] = stored()

    refused = put(bob, target, "STOLEN", **{"from": secret_values.path(place)})

    assert refused.status == 422, refused.text
    assert bob.get(of(target)).json == []


def test_a_source_without_a_usable_value_is_refused(
    ann: Client, environment: EnvironmentId, source: Any
) -> None:
    source(f"{ARN}/shared/")
    parameter("/shared/mask", "****")

    refused = put(ann, environment, "PASSWORD", **{"from": "/shared/mask"})

    assert [each["pointer"] for each in refused.json["errors"]] == ["#/from"]
