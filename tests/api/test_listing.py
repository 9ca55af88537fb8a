"""Lists of environments and deployments: what they show, in which order, and at which cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from moto.dynamodb.models import dynamodb_backends

from slipway.access.principal import Principal
from slipway.aws import dynamodb
from slipway.domain import ids, timestamps
from slipway.domain.deployment import NewDeployment
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.template import Version
from slipway.errors import NotFound
from slipway.services import lists, rollout_queue
from slipway.store import (
    deployment_records,
    environment_records,
    project_records,
    table,
    template_records,
    wire,
)
from slipway.store.table import Key, Put, Update
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.api.people import joins
from tests.support.lambda_environment import ACCOUNT, REGION
from tests.support.store import between, world

ENVIRONMENTS = "/api/v1/environments"
DEPLOYMENTS = "/api/v1/deployments"
TOKENS = "/api/v1/auth/tokens"


def token(by: Client, **fields: Any) -> Client:
    made = by.post(TOKENS, {"name": "a program", "kind": "ci", "scopes": ["read"]} | fields)
    assert made.status == 201, made.json
    return Client(made.json["token"], by.user_id)


def shown(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.json
    return [each["id"] for each in answer.json]


def pages(client: Client, path: str, **query: Any) -> Iterator[list[str]]:
    """The pages of a list, by its links."""
    answer = client.send("GET", path, query=urlencode(query, doseq=True))
    while True:
        yield shown(answer)
        link = answer.headers.get("link")
        if link is None:
            return
        answer = client.send("GET", path, query=link.partition("?")[2].partition(">")[0])


def all_of(client: Client, path: str, **query: Any) -> list[str]:
    return [each for page in pages(client, path, **query) for each in page]


def environment(of: ProjectId, client: Client, name: str, **fields: Any) -> EnvironmentId:
    made = world.environment(of, client.principal, name, **fields)
    world.comes_up(made)
    return made


def names(client: Client, path: str, **query: Any) -> list[str]:
    answer = client.send("GET", path, query=urlencode(query, doseq=True))
    assert answer.status == 200, answer.json
    return [each["name"] for each in answer.json]


def is_of_template(environment: EnvironmentId, version: str) -> None:
    key = environment_records.key(environment)
    table.write(Update(key, "SET #template = :it", {"it": version}))


class Watched:
    """The queries that are made, and how many items each has examined."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trips = 0
        self.examined = 0
        real = dynamodb.together

        def together(*calls: Any, **aside: Any) -> Any:
            answers = real(*calls, **aside)
            self.trips += 1
            self.examined += sum(int(each.get("ScannedCount", 0)) for each in answers)
            return answers

        monkeypatch.setattr(dynamodb, "together", together)


# --- what is there, among what was ------------------------------------------------------------


def are_destroyed(project: ProjectId, like: EnvironmentId, count: int) -> None:
    """Many environments that were destroyed, as copies of one, written to moto itself."""
    [item] = table.get(environment_records.key(like))
    held = dynamodb_backends[ACCOUNT][REGION].tables["slipway"]
    for _ in range(count):
        part = ids.new_part()
        gone = {
            **{name: value for name, value in item.items() if not name.startswith("listed")},
            "id": str(EnvironmentId(project.p, part)),
            "sk": f"ENV#{part}",
            "status": "destroyed",
        }
        held.put_item(wire.encode(gone))


def test_a_page_among_ten_thousand_destroyed_ones_reads_only_what_it_shows(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = environment(project, ann, "first")
    are_destroyed(project, first, 5000)
    living = [first, *(environment(project, ann, f"e{n}") for n in range(24))]
    are_destroyed(project, first, 5000)
    newest = [str(each) for each in reversed(living)]

    for path in (f"/api/v1/projects/{project}/environments", ENVIRONMENTS):
        ann.get(path)
        watched = Watched(monkeypatch)
        assert shown(ann.get(path)) == newest[:20]
        memberships = path == ENVIRONMENTS
        assert (watched.trips, watched.examined) == (1, 21 + memberships), path
    assert all_of(ann, f"/api/v1/projects/{project}/environments") == newest


def test_the_old_path_lists_the_same(ann: Client, environment: EnvironmentId) -> None:
    project, below = environment.project, f"{ENVIRONMENTS}/{environment}"
    for old, natural in {
        f"{ENVIRONMENTS}/projects/{project}": f"/api/v1/projects/{project}/environments",
        f"{DEPLOYMENTS}/environments/{environment}": f"{below}/deployments",
    }.items():
        assert ann.get(old).raw == ann.get(natural).raw


def test_natural_paths_create_as_the_old_ones_do(ann: Client, project: ProjectId) -> None:
    made = ann.post(
        f"/api/v1/projects/{project}/environments", {"name": "pr-7", "type": "ephemeral"}
    )
    assert made.status == 201
    e = made.json["id"]
    deployed = ann.post(f"{ENVIRONMENTS}/{e}/deployments", {"version": "sha-1234567"})

    assert deployed.status == 201
    assert deployed.headers["location"] == f"{DEPLOYMENTS}/{deployed.json['id']}"
    assert shown(ann.get(f"{ENVIRONMENTS}/{e}/deployments")) == [deployed.json["id"]]
    assert shown(ann.get(f"/api/v1/projects/{project}/deployments")) == [deployed.json["id"]]


def test_destroyed_environments_are_listed_only_if_they_are_asked_for(
    ann: Client, project: ProjectId
) -> None:
    environment(project, ann, "stays")
    world.is_destroyed(environment(project, ann, "goes"))
    path = f"/api/v1/projects/{project}/environments"

    for each in (path, ENVIRONMENTS):
        assert names(ann, each) == ["stays"]
        assert names(ann, each, include="ended") == ["goes", "stays"]
        assert names(ann, each, status="destroyed") == ["goes"]
        assert names(ann, each, status="destroyed,running") == ["goes", "stays"]
        assert names(ann, each, include="ended", status="running") == ["stays"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_no_list_ends_in_an_empty_page(
    ann: Client, project: ProjectId, count: int, sort: str
) -> None:
    made = [str(environment(project, ann, f"e{n}")) for n in range(count)]
    into = ids.parse_environment(made[0])
    deployed = [str(world.deployment(into, ann.principal, f"v{n}")) for n in range(count)]
    expected = {
        ENVIRONMENTS: made,
        f"/api/v1/projects/{project}/environments": made,
        DEPLOYMENTS: deployed,
        f"/api/v1/projects/{project}/deployments": deployed,
        f"{ENVIRONMENTS}/{into}/deployments": deployed,
    }

    for path, entries in expected.items():
        found = list(pages(ann, path, limit=2, sort=sort))
        ordered = entries if sort == "created_at" else entries[::-1]
        assert found == [ordered[n : n + 2] for n in range(0, count, 2)], path


def test_lists_that_cannot_be_filtered_end_without_an_empty_page_too(
    ann: Client, project: ProjectId
) -> None:
    world.project(ann.principal, "another")

    assert [len(page) for page in pages(ann, "/api/v1/projects", limit=1)] == [1, 1]
    events = f"{ENVIRONMENTS}/{environment(project, ann, 'e')}/events"
    assert all(page for page in pages(ann, events, limit=1)) or all_of(ann, events) == []


# --- filters ----------------------------------------------------------------------------------


@pytest.fixture
def many(ann: Client, project: ProjectId) -> dict[str, EnvironmentId]:
    """Environments that differ in one thing each."""
    made = {
        "plain": environment(project, ann, "plain"),
        "Preview-1": environment(project, ann, "Preview-1", labels={"team": "a", "x/y.z": "1:2"}),
        "preview-2": environment(project, ann, "preview-2", labels={"team": "b", "x/y.z": "1:2"}),
        "live": environment(project, ann, "live", type="persistent"),
        "stage": environment(project, ann, "stage", type="persistent", tier="staging"),
        "old": environment(project, ann, "old", type="persistent"),
        "broken": environment(project, ann, "broken"),
        "due": environment(project, ann, "due"),
        "from a template": environment(project, ann, "from a template"),
    }
    world.becomes(made["broken"], "failed")
    past = timestamps.written(timestamps.now() - timedelta(seconds=1))
    ends = Update(environment_records.key(made["due"]), "SET expires_at = :it", {"it": past})
    table.write(ends)
    # As it was before there were tiers.
    table.write(Update(environment_records.key(made["old"]), "REMOVE tier", {}))
    is_of_template(made["from a template"], "web@1.12")
    return made


FILTERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a state": ({"status": "failed"}, {"broken"}),
    "the state that is shown": ({"status": "expiring"}, {"due"}),
    "states with a comma": ({"status": "failed,expiring"}, {"broken", "due"}),
    "states, repeated": ({"status": ["failed", "expiring"]}, {"broken", "due"}),
    "a state nobody has": ({"status": "tearing_down"}, set()),
    "a type": ({"type": "persistent"}, {"live", "stage", "old"}),
    "a tier": ({"tier": "staging"}, {"stage"}),
    "the tier of old records": ({"tier": "production"}, {"live", "old"}),
    "tiers": ({"tier": "staging,production"}, {"live", "old", "stage"}),
    "how a name begins": ({"name": "PREVIEW-"}, {"Preview-1", "preview-2"}),
    "a template": ({"template": "web"}, {"from a template"}),
    "a template's major version": ({"template": "web@1"}, {"from a template"}),
    "a template's version": ({"template": "web@1.12"}, {"from a template"}),
    "a part of a version": ({"template": "web@1.1"}, set()),
    "a part of a name": ({"template": "we"}, set()),
    "a label": ({"label": "team:a"}, {"Preview-1"}),
    "a label with signs": ({"label": "x/y.z:1:2"}, {"Preview-1", "preview-2"}),
    "labels": ({"label": ["team:b", "x/y.z:1:2"]}, {"preview-2"}),
    "a label nobody has": ({"label": "team:c"}, set()),
    "several filters": ({"type": "ephemeral", "name": "pre", "label": "team:a"}, {"Preview-1"}),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_out_the_rest(
    ann: Client, project: ProjectId, many: dict[str, EnvironmentId], name: str
) -> None:
    query, expected = FILTERS[name]

    for path in (ENVIRONMENTS, f"/api/v1/projects/{project}/environments"):
        for more in ({}, {"include": "ended"}):
            assert set(names(ann, path, **query, **more)) == expected
            assert set(names(ann, path, limit=1, **query, **more)) <= expected
        assert {*all_of(ann, path, limit=2, **query)} == {str(many[each]) for each in expected}


USES = "/api/v1/templates/web/environments"

# The filter of the template is the path.
FILTERS_OF_USES = {
    **{name: filters for name, filters in FILTERS.items() if "template" not in filters[0]},
    "the template's major version": ({"version": "1"}, {"from a template"}),
    "the template's version": ({"version": "1.12"}, {"from a template"}),
    "a part of its version": ({"version": "1.1"}, set()),
    "another version": ({"version": "2"}, set()),
}


@pytest.fixture
def used(ann: Client, many: dict[str, EnvironmentId]) -> dict[str, EnvironmentId]:
    """The same environments, of one template and two versions, and one of another template."""
    table.write(Put(template_records.key("web"), {"name": "web"}))
    for number in ("1.2", "1.12"):
        major, _, minor = number.partition(".")
        version = Version(int(major), int(minor))
        item = {"version": number, "state": "published"}
        table.write(Put(template_records.version_key("web", version), item))
    for name, made in many.items():
        is_of_template(made, "web@1.12" if name == "from a template" else "web@3.2")
    another = environment(many["live"].project, ann, "another")
    is_of_template(another, "web2@1.12")
    return many


@pytest.mark.parametrize("name", FILTERS_OF_USES)
def test_the_environments_of_a_template_are_filtered(
    ann: Client, used: dict[str, EnvironmentId], name: str
) -> None:
    query, expected = FILTERS_OF_USES[name]

    for more in ({}, {"include": "ended"}):
        assert set(names(ann, USES, **query, **more)) == expected
    assert set(names(ann, USES, limit=1, **query)) <= expected


def test_the_environments_of_a_template_are_those_of_the_list_of_all(
    ann: Client, bob: Client, used: dict[str, EnvironmentId]
) -> None:
    oldest_first = [*used]
    assert names(ann, USES, sort="created_at") == oldest_first
    assert names(ann, USES) == oldest_first[::-1]
    assert names(ann, ENVIRONMENTS, template="web") == oldest_first[::-1]
    assert names(bob, USES) == []
    assert names(ann, USES, created_by="me") == oldest_first[::-1]
    assert names(ann, USES, created_by=bob.user_id) == []
    assert names(ann, USES, until="2020-01-01T00:00:00Z") == []
    assert names(ann, USES, since="2020-01-01T00:00:00Z", limit=1) == [oldest_first[-1]]
    by_name = {each["name"]: each for each in ann.get(USES).json}
    assert {each["version"] for each in by_name.values()} == {"1.12", "3.2"}
    assert by_name["due"]["status"] == "expiring"
    assert by_name["broken"]["standing"] == "failed"
    assert {*by_name["live"]} == {
        *("environment_id", "project_id", "name", "version", "status", "standing")
    }


def test_pages_of_a_template_are_full_and_the_last_one_is_not_empty(
    ann: Client, used: dict[str, EnvironmentId]
) -> None:
    world.is_destroyed(used["live"])
    query, found = urlencode({"limit": 4}), []
    while query:
        answer = ann.send("GET", USES, query=query)
        found.append([each["name"] for each in answer.json])
        query = answer.headers.get("link", "").partition("?")[2].partition(">")[0]

    left = [name for name in used if name != "live"][::-1]
    assert found == [left[:4], left[4:]]
    assert names(ann, USES, status="destroyed") == ["live"]
    assert "live" in names(ann, USES, include="ended")


def test_a_page_of_a_template_is_one_round_trip_and_examines_a_bounded_number(
    ann: Client, used: dict[str, EnvironmentId], monkeypatch: pytest.MonkeyPatch
) -> None:
    are_destroyed(used["live"].project, used["live"], 700)
    ann.get(USES)
    watched = Watched(monkeypatch)

    assert len(ann.get(USES, include="ended", limit=5).json) == 5
    assert watched.trips == 1
    empty = ann.get(USES, include="ended", label="team:nobody")

    assert empty.json == [] and "link" in empty.headers
    assert watched.trips == 2
    # Besides, each page reads the caller's project and the template's two versions.
    assert watched.examined <= 2 * (500 + 3)


def test_an_unknown_template_has_no_environments_to_list(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.get("/api/v1/templates")
    lists.forget()
    trips = between.counted(monkeypatch)

    assert_refused(ann.get(USES), 404, "not_found")

    assert len(trips) == 1


@pytest.mark.parametrize("query", ["version=web", "version=", "version=1.", "version=01"])
def test_what_is_no_version_is_refused(ann: Client, query: str) -> None:
    assert_refused(ann.send("GET", USES, query=query), 422, "invalid_request", "?version")


def test_the_template_is_no_filter_of_its_own_list(ann: Client) -> None:
    answer = ann.send("GET", USES, query="template=web")

    assert_refused(answer, 422, "invalid_request", "?template")


def test_a_list_is_filtered_by_its_authors(ann: Client, bob: Client, project: ProjectId) -> None:
    joins(project, bob, "maintainer")
    environment(project, ann, "anns")
    path = f"/api/v1/projects/{project}/environments"
    body = {"type": "ephemeral"}
    program = token(ann, scopes=["read", "environments"])
    assert program.post(path, {**body, "name": "programs"}).status == 201
    assert bob.post(path, {**body, "name": "bobs"}).status == 201
    of_token = program.get(path).json[1]["created_by"]["id"]

    assert names(ann, path, created_by="me") == ["programs", "anns"]
    assert names(ann, path, created_by=ann.user_id) == ["programs", "anns"]
    assert names(ann, path, created_by=of_token) == ["programs"]
    assert names(ann, path, created_by="bob@example.com") == ["bobs"]
    assert names(bob, path, created_by="me") == ["bobs"]


def test_a_list_is_filtered_by_time(ann: Client, project: ProjectId) -> None:
    made = [environment(project, ann, f"e{n}") for n in range(3)]
    times = {}
    for n, each in enumerate(made):
        # Their ids are all of this moment; an id may be a minute away from its record.
        at = timestamps.now() + timedelta(seconds=n * 10)
        times[n] = timestamps.written(at)
        table.write(Update(environment_records.key(each), "SET created_at = :at", {"at": times[n]}))
    path = f"/api/v1/projects/{project}/environments"

    assert names(ann, path, since=times[1]) == ["e2", "e1"]
    assert names(ann, path, until=times[1]) == ["e0"]
    assert names(ann, path, since=times[1], until=times[2]) == ["e1"]
    later = timestamps.written(datetime.fromisoformat(times[0]) + timedelta(days=3))
    assert names(ann, path, since=later) == []
    assert names(ann, path, until="1970-01-02T00:00:00Z") == []
    in_paris = datetime.fromisoformat(times[1]).astimezone(
        datetime.fromisoformat("2026-01-01T00:00:00+02:00").tzinfo
    )
    assert names(ann, path, since=in_paris.isoformat()) == ["e2", "e1"]


def test_times_bound_what_is_read(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        environment(project, ann, f"e{n}")
    path = f"/api/v1/projects/{project}/environments"
    ann.get(path)
    watched = Watched(monkeypatch)

    assert ann.get(path, until="2020-01-01T00:00:00Z").json == []
    assert ann.get(path, since="2090-01-01T00:00:00Z").json == []

    assert watched.examined == 0


def test_deployments_are_filtered(ann: Client, project: ProjectId) -> None:
    preview = environment(project, ann, "preview-1")
    live = environment(project, ann, "live", type="persistent")
    made: dict[str, str] = {}
    for version, into in (("v1", preview), ("v2", live), ("v3", live)):
        wanted = NewDeployment(version=version, labels={"v": version})
        made[version] = rollout_queue.enqueue(into, wanted, ann.principal).id
    key = deployment_records.key(ids.parse_deployment(made["v2"]))
    table.write(Update(key, "SET #status = :it", {"it": "succeeded"}))

    queries: dict[str, dict[str, str]] = {
        "all": {},
        "status": {"status": "succeeded"},
        "statuses": {"status": "succeeded,failed"},
        "tier": {"tier": "production"},
        "type": {"type": "ephemeral"},
        "name": {"name": "PREV"},
        "version": {"version": "v3"},
        "kind": {"kind": "update"},
        "label": {"label": "v:v1"},
        "template": {"template": "web"},
        "author": {"created_by": "me"},
        "oldest": {"sort": "created_at"},
    }
    for path in (DEPLOYMENTS, f"/api/v1/projects/{project}/deployments"):
        found = {
            name: [each["version"] for each in ann.send("GET", path, query=query).json]
            for name, query in queries.items()
        }
        assert found == {
            "all": ["v3", "v2", "v1"],
            "status": ["v2"],
            "statuses": ["v2"],
            "tier": ["v3", "v2"],
            "type": ["v1"],
            "name": ["v1"],
            "version": ["v3"],
            "kind": [],
            "label": ["v1"],
            "template": [],
            "author": ["v3", "v2", "v1"],
            "oldest": ["v1", "v2", "v3"],
        }
    of_live = f"{ENVIRONMENTS}/{live}/deployments"
    assert [each["version"] for each in ann.get(of_live, status="succeeded").json] == ["v2"]
    assert ann.get(of_live).json[0]["environment_name"] == "live"


BAD: dict[str, tuple[str, str]] = {
    "no state": ("status=gone", "?status/0"),
    "one of several": ("status=running,gone", "?status/1"),
    "an empty state": ("status=", "?status/0"),
    "a deployment's state": ("status=succeeded", "?status/0"),
    "no tier": ("tier=prod", "?tier/0"),
    "no type": ("type=short", "?type/0"),
    "a label without a value": ("label=team", "?label/0"),
    "a label without a key": ("label=:a", "?label/0"),
    "too many labels": ("&".join(f"label=k{n}:v" for n in range(11)), "?label"),
    "no time": ("since=yesterday", "?since"),
    "a number": ("since=1764374400", "?since"),
    "a time without an offset": ("until=2026-11-23T00:00:00", "?until"),
    "a time of no age": ("since=0001-01-01T00:00:00Z", "?since"),
    "an end before its beginning": (
        "since=2026-11-24T00:00:00Z&until=2026-11-23T00:00:00Z",
        "?",
    ),
    "an order that no index has": ("sort=name", "?sort"),
    "what is not included": ("include=everything", "?include"),
    "a name twice": ("name=a&name=b", "?name"),
    "an unknown name": ("state=running", "?state"),
    "an empty name": ("name=", "?name"),
    "no cursor": ("cursor=abc", "?cursor"),
    "a cursor of a part": ("cursor=RU5WIzAx", "?cursor"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_filter_is_refused_with_its_name(ann: Client, project: ProjectId, name: str) -> None:
    query, pointer = BAD[name]

    for path in (ENVIRONMENTS, f"/api/v1/projects/{project}/environments", USES):
        answer = ann.send("GET", path, query=query)
        assert_refused(answer, 422, "invalid_request", pointer)


def test_a_page_with_a_filter_examines_a_bounded_number_of_items(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = environment(project, ann, "first")
    are_destroyed(project, first, 700)
    path = f"/api/v1/projects/{project}/environments"
    ann.get(path)
    watched = Watched(monkeypatch)

    answer = ann.get(path, include="ended", name="first", status="destroyed,running", limit=5)
    assert len(answer.json) == 5
    empty = ann.get(path, include="ended", label="team:a")

    assert empty.json == [] and "link" in empty.headers
    assert (watched.trips, watched.examined) == (2, 1000)
    assert all_of(ann, path, include="ended", label="team:a") == []
    assert len(all_of(ann, path, include="ended", type="ephemeral", limit=100)) == 701


def test_the_link_keeps_every_filter(ann: Client, project: ProjectId) -> None:
    for n in range(3):
        environment(project, ann, f"e{n}", labels={"a": "1", "b": "2"})
    query = {"limit": "1", "status": ["running", "failed"], "label": ["a:1", "b:2"]}

    assert len(all_of(ann, ENVIRONMENTS, **query)) == 3


# --- all projects -----------------------------------------------------------------------------


def test_all_projects_are_listed_by_age_whatever_their_order(ann: Client, bob: Client) -> None:
    mine = [world.project(ann.principal, f"p{n}") for n in range(3)]
    foreign = world.project(bob.principal, "bobs")
    environment(foreign, bob, "bobs")
    made = [str(environment(mine[n % 3], ann, f"e{n}")) for n in range(8)]

    assert all_of(ann, ENVIRONMENTS, limit=3) == made[::-1]
    assert all_of(ann, ENVIRONMENTS, limit=3, sort="created_at") == made
    assert all_of(ann, ENVIRONMENTS, limit=3, include="ended") == made[::-1]
    assert len(all_of(bob, ENVIRONMENTS)) == 1


def test_a_list_of_all_projects_is_one_round_trip_once_they_are_known(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for n in range(3):
        made.append(str(environment(world.project(ann.principal, f"p{n}"), ann, "e")))
    ann.get("/api/v1/projects")
    lists.forget()
    trips = between.counted(monkeypatch)

    for expected in (2, 1, 1):
        trips.clear()
        assert shown(ann.get(ENVIRONMENTS)) == made[::-1]
        assert len(trips) == expected, trips
    made.append(str(environment(world.project(ann.principal, "new"), ann, "e")))
    for expected in (2, 1):
        trips.clear()
        assert shown(ann.get(ENVIRONMENTS)) == made[::-1]
        assert len(trips) == expected, trips


def test_what_a_process_knows_of_projects_is_only_a_hint(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    environment(project, ann, "e")
    shared = world.project(bob.principal, "shared")
    environment(shared, bob, "bobs")
    members = f"/api/v1/projects/{shared}/members"
    added = bob.post(members, {"email": "ann@example.com", "role": "viewer"})
    assert added.status == 201, added.json

    assert names(ann, ENVIRONMENTS) == ["bobs", "e"]
    assert bob.delete(f"{members}/{ann.user_id}").status == 204

    assert names(ann, ENVIRONMENTS) == ["e"]


def test_more_projects_than_fit_a_page_are_listed_in_turn(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_MOST_PROJECTS", 3)
    monkeypatch.setattr(lists, "_WAVE", 2)
    made = set()
    for n in range(7):
        project = world.project(ann.principal, f"p{n}")
        made |= {str(environment(project, ann, name)) for name in ("a", "b")}

    for limit in (1, 2, 5, 100):
        found = all_of(ann, ENVIRONMENTS, limit=limit)
        assert len(found) == len(made)
        assert set(found) == made


def test_a_busy_project_does_not_hide_the_others(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_LEAST_SHOWN", 2)
    monkeypatch.setattr("slipway.store.list_queries.MOST_EXAMINED", 6)
    projects = [world.project(ann.principal, f"p{n}") for n in range(3)]
    made = [str(environment(projects[n % 7 % 3], ann, f"e{n}")) for n in range(9)]

    for limit in (1, 2, 3, 20):
        assert all_of(ann, ENVIRONMENTS, limit=limit) == made[::-1]
        assert all_of(ann, ENVIRONMENTS, limit=limit, sort="created_at") == made


# --- tokens -----------------------------------------------------------------------------------


def test_a_limited_token_sees_what_it_may_on_full_pages(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.project(ann.principal, "other")
    there = environment(other, ann, "there")
    previews, lives = [], []
    for n in range(6):
        previews.append(str(environment(project, ann, f"preview{n}")))
        lives.append(str(environment(project, ann, f"live{n}", type="persistent")))
    deployed = {
        each: str(world.deployment(ids.parse_environment(each), ann.principal))
        for each in (*previews, *lives, str(there))
    }
    cases: dict[str, tuple[Client, list[str]]] = {
        "tiers": (token(ann, tiers=["preview"]), [str(there), *previews]),
        "project": (token(ann, project_ids=[str(project)]), [*previews, *lives]),
        "environments": (
            token(ann, project_ids=[str(project)], environment_ids=[previews[0], lives[5]]),
            [previews[0], lives[5]],
        ),
        "tiers of a project": (
            token(ann, project_ids=[str(project)], tiers=["production"]),
            lives,
        ),
    }

    for name, (program, may_see) in cases.items():
        for path in (ENVIRONMENTS, f"/api/v1/projects/{project}/environments"):
            here = [each for each in may_see if path == ENVIRONMENTS or project.p in each]
            expected = sorted(here, key=lambda each: each.split("_")[2], reverse=True)
            assert list(pages(program, path, limit=2)) == [
                expected[n : n + 2] for n in range(0, len(expected), 2)
            ], (name, path)
        for path in (DEPLOYMENTS, f"/api/v1/projects/{project}/deployments"):
            here = [each for each in may_see if path == DEPLOYMENTS or project.p in each]
            expected = sorted(
                (deployed[each] for each in here), key=lambda d: d.split("_")[3], reverse=True
            )
            assert all_of(program, path, limit=2) == expected, (name, path)


def test_a_limited_token_lists_only_its_projects_and_their_use_of_templates(
    ann: Client, project: ProjectId
) -> None:
    table.write(Put(template_records.key("web"), {"name": "web"}))
    other = world.project(ann.principal, "other")
    used = {
        name: str(environment(of, ann, name, **more))
        for name, of, more in (
            ("preview", project, {}),
            ("live", project, {"type": "persistent"}),
            ("there", other, {}),
        )
    }
    for each in used.values():
        is_of_template(ids.parse_environment(each), "web@1.0")
    here = {"project_ids": [str(project)]}
    cases: list[tuple[dict[str, Any], set[str], set[str]]] = [
        ({}, {"preview", "live", "there"}, {str(project), str(other)}),
        (here, {"preview", "live"}, {str(project)}),
        ({**here, "environment_ids": [used["live"]]}, {"live"}, {str(project)}),
        ({"tiers": ["preview"]}, {"preview", "there"}, {str(project), str(other)}),
    ]

    for fields, uses, projects in cases:
        program = token(ann, **fields)
        assert {*names(program, "/api/v1/templates/web/environments")} == uses
        assert {*all_of(program, "/api/v1/projects", limit=1)} == projects
        assert [len(page) for page in pages(program, "/api/v1/projects", limit=1)] == [1] * len(
            projects
        )


def test_a_trust_lists_the_uses_in_its_project(ann: Client, project: ProjectId) -> None:
    table.write(Put(template_records.key("web"), {"name": "web"}))
    for of, name in ((project, "here"), (world.project(ann.principal, "other"), "there")):
        is_of_template(environment(of, ann, name), "web@1.0")
    trust = f"trs_{project.p}_{ids.new_part()}"
    member = {"role": "viewer", "version": 1}
    table.write(Put(project_records.member(project, trust), member, condition=None))

    found = world.uses("web", Principal(trust, "templates:read"))

    assert [each.name for each in found] == ["here"]
    with pytest.raises(NotFound):
        world.uses("other", Principal(trust, "templates:read"))


def test_a_token_of_a_tier_does_not_see_what_has_left_the_tier(
    ann: Client, project: ProjectId
) -> None:
    moved = environment(project, ann, "moved")
    world.deployment(moved, ann.principal)
    program = token(ann, tiers=["preview"])
    assert len(program.get(DEPLOYMENTS).json) == 1

    assert ann.patch(f"{ENVIRONMENTS}/{moved}", {"tier": "production"}).status == 200

    for path in (DEPLOYMENTS, ENVIRONMENTS, f"/api/v1/projects/{project}/deployments"):
        assert program.get(path).json == []


def test_a_cursor_does_not_tell_an_id_that_the_token_cannot_see(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.store.list_queries.MOST_EXAMINED", 3)
    hidden = [str(environment(project, ann, f"live{n}", type="persistent")) for n in range(4)]
    one = str(environment(project, ann, "preview"))
    hidden += [str(environment(project, ann, f"more{n}", type="persistent")) for n in range(4)]
    program = token(ann, tiers=["preview"])
    path = f"/api/v1/projects/{project}/environments"

    answers = [program.get(path, limit=1)]
    while link := answers[-1].headers.get("link"):
        query = link.partition("?")[2].partition(">")[0]
        answers.append(program.send("GET", path, query=query))

    assert [each for answer in answers for each in shown(answer)] == [one]
    told = "".join(cursor_text(answer) for answer in answers)
    assert told
    assert not any(each.split("_")[2] in told for each in hidden)


def cursor_text(answer: Answer) -> str:
    import base64
    import re

    found = re.search(r"cursor=([\w-]+)", answer.headers.get("link", ""))
    return base64.urlsafe_b64decode(found[1] + "==").decode() if found else ""


def test_a_workload_lists_its_project(ann: Client, project: ProjectId) -> None:
    from slipway.domain.environment_lists import EnvironmentListing

    made = environment(project, ann, "e")
    trust = f"trs_{project.p}_{ids.new_part()}"
    member = {"role": "deployer", "version": 1}
    table.write(Put(project_records.member(project, trust), member, condition=None))
    caller = Principal(trust, "environments:browse")

    assert [each.id for each in lists.environments(caller, EnvironmentListing())] == [str(made)]


def test_records_of_an_earlier_release_are_listed_with_their_history(
    ann: Client, project: ProjectId
) -> None:
    old = environment(project, ann, "old")
    key: Key = environment_records.key(old)
    table.write(Update(key, "REMOVE listed, listed_at", {}))
    path = f"/api/v1/projects/{project}/environments"

    assert names(ann, path) == []
    assert names(ann, path, include="ended") == ["old"]
    assert json.loads(ann.get(f"{ENVIRONMENTS}/{old}").raw)["status"] == "running"


def test_every_filter_can_be_sent_at_once(ann: Client) -> None:
    statuses = [
        "pending",
        "running",
        "succeeded",
        "rolled_back",
        "failed",
        "canceled",
        "superseded",
    ]
    query = {
        **{"limit": 20, "created_by": "me", "sort": "created_at", "kind": "release"},
        **{"since": "2026-11-23T00:00:00Z", "until": "2026-11-24T00:00:00Z"},
        **{"version": "sha-1", "tier": "production", "template": "web-service@1", "name": "pr-"},
        "label": [f"key-{n}:value" for n in range(10)],
        "status": statuses,
    }

    assert ann.send("GET", DEPLOYMENTS, query=urlencode(query, doseq=True)).status == 200


def test_too_many_parameters_are_refused_as_such(ann: Client) -> None:
    answer = ann.send("GET", DEPLOYMENTS, query="&".join(["label=a:b"] * 51))

    assert_refused(answer, 422, "invalid_request", "?")
    assert answer.json["errors"] == [{"pointer": "?", "detail": "must have at most 50 parameters"}]
