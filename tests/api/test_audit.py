"""The audit: what each change leaves, what is shown of it, and whether its chain is whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.store import audit_keys, table, user_records
from tests.support import audit
from tests.support.api.client import Client
from tests.support.api.people import PASSWORD, signed_in


def log(client: Client, project: ProjectId, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/projects/{project}/audit", **query)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json
    return found


def verified(client: Client, project: ProjectId, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/projects/{project}/audit/verify", **query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture
def root(aws: None) -> Client:
    client = signed_in("root@example.com")
    key = f"ACCOUNT#{client.user_id}"
    change = "SET platform_role = :admin"
    table.write(table.Update(table.Key(key, "ACCOUNT"), change, {"admin": "admin"}))
    return client


def test_a_change_leaves_who_what_from_where_and_the_fields_before_and_after(
    ann: Client, project: ProjectId
) -> None:
    ann.patch(f"/api/v1/projects/{project}", {"name": "orders", "description": "x"})

    [entry] = log(ann, project)
    assert entry.pop("id").startswith("aud_")
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "actor": {"id": ann.user_id, "kind": "user", "name": "ann@example.com"},
        "action": "projects:change",
        "target": {"id": str(project), "name": "payments"},
        "address": "203.0.113.7",
        "user_agent": "curl/8.7.1",
        "request_id": "JKJaXPLvDoEEJiA=",
        "before": {"name": "payments"},
        "after": {"description": "x", "name": "orders"},
        "linked": False,
    }


def test_the_request_that_creates_a_project_names_its_author(ann: Client) -> None:
    made = ann.post("/api/v1/projects", {"name": "orders"}).json

    [entry] = ann.get(f"/api/v1/projects/{made['id']}/audit").json
    assert entry["action"] == "projects:create"
    assert entry["actor"]["name"] == "ann@example.com"
    assert entry["target"] == {"id": made["id"], "name": "orders"}
    assert (entry["before"], entry["after"]["name"]) == (None, "orders")


def test_what_changes_nothing_and_what_is_refused_leave_no_entry(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    path = f"/api/v1/projects/{project}"

    assert ann.patch(path, {"name": "payments"}).status == 200
    assert ann.with_headers(if_match='"7"').patch(path, {"name": "other"}).status == 412
    assert bob.patch(path, {"name": "other"}).status == 404
    assert ann.patch(path, {"nam": "other"}).status == 422

    assert log(ann, project) == []


def test_a_replayed_request_leaves_one_entry(ann: Client) -> None:
    again = ann.with_headers(idempotency_key="build-77")

    first, second = (again.post("/api/v1/projects", {"name": "orders"}) for _ in range(2))

    assert (first.raw, second.headers["idempotent-replayed"]) == (second.raw, "true")
    assert [entry["action"] for entry in audit.entries()] == ["projects:create"]


def sign_in(source: str, email: str, password: str) -> int:
    form = {"username": email, "password": password}
    return Client(source=source).form("/api/v1/auth/login", form).status


def test_sign_ins_and_failed_ones_are_in_the_platforms_audit(ann: Client, root: Client) -> None:
    assert sign_in("203.0.113.9", "ann@example.com", "wrong password") == 401
    assert sign_in("203.0.113.9", "ann@example.com", PASSWORD) == 200
    assert root.post(f"/api/v1/users/{ann.user_id}/disable").status == 200
    assert sign_in("203.0.113.9", "ann@example.com", PASSWORD) == 401

    entries = root.get("/api/v1/audit", target=ann.user_id).json
    assert [(entry["action"], entry["actor"]["kind"]) for entry in entries] == [
        ("account:sign-in-failed", "user"),
        ("users:change", "user"),
        ("account:sign-in", "user"),
        ("account:sign-in-failed", "anonymous"),
    ]
    assert entries[0]["after"] == {"reason": "account_disabled"}
    assert entries[1]["actor"]["name"] == "root@example.com"
    assert (entries[1]["before"], entries[1]["after"]) == (
        {"status": "active"},
        {"status": "disabled"},
    )
    assert entries[3]["target"]["name"] == "ann@example.com"
    assert {entry["address"] for entry in entries if "sign-in" in entry["action"]} == {
        "203.0.113.9"
    }


def test_guesses_at_what_has_no_account_fill_no_audit(aws: None) -> None:
    before = audit.items("")

    assert sign_in("203.0.113.9", "nobody@example.com", "a password of somebody") == 401

    assert audit.entries() == []
    lasting = [item["pk"] for item in audit.items("") if item not in before and "ttl" not in item]
    assert set(lasting) <= {"KEYS"}


# --- lists ------------------------------------------------------------------------------------


@pytest.fixture
def busy(ann: Client, project: ProjectId, environment: EnvironmentId) -> ProjectId:
    """A project with eight entries: half of them are linked."""
    path = f"/api/v1/projects/{project}"
    for n in range(4):
        assert ann.patch(path, {"name": f"orders-{n}"}).status == 200
    audit.link_all()
    for _ in range(2):
        assert ann.post(f"/api/v1/environments/{environment}/pin", {"reason": "demo"}).status == 200
        assert ann.post(f"/api/v1/environments/{environment}/unpin").status == 200
    return project


def test_filters_find_linked_and_unlinked_entries(
    ann: Client, busy: ProjectId, environment: EnvironmentId
) -> None:
    everything = log(ann, busy)
    assert [entry["linked"] for entry in everything] == [False] * 4 + [True] * 4

    def found(**query: Any) -> list[dict[str, Any]]:
        return log(ann, busy, **query)

    changes = [entry for entry in everything if entry["action"] == "projects:change"]
    assert found(action="projects:change") == changes
    assert found(actor=ann.user_id) == found(actor="Ann@Example.com") == everything
    assert found(target=str(environment)) == everything[:4]
    assert found(target=str(busy), actor="ann@example.com", action="projects:change") == changes
    assert found(actor="bob@example.com") == found(action="projects:delete") == []
    third = everything[2]["at"]
    later = [entry for entry in everything if entry["at"] >= third]
    assert found(since=third) == later
    assert found(until=third) == [entry for entry in everything if entry not in later]
    assert found(since=third, action="projects:change") == [
        entry for entry in later if entry in changes
    ]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"actor": "ann@example.com"},
        {"action": "environments:extend"},
        {"action": "environments:extend", "actor": "ann@example.com"},
    ],
)
def test_pages_follow_each_other_without_a_gap(
    ann: Client, busy: ProjectId, query: dict[str, str]
) -> None:
    whole = log(ann, busy, **query)
    assert whole

    for limit in (1, 3):
        pages, more = [], query | {"limit": str(limit)}
        while True:
            answer = ann.get(f"/api/v1/projects/{busy}/audit", **more)
            pages += answer.json
            assert len(answer.json) <= limit
            if "link" not in answer.headers:
                break
            more["cursor"] = answer.headers["link"].partition("cursor=")[2].partition("&")[0][:200]
            more["cursor"] = more["cursor"].partition(">")[0]
        assert pages == whole


def test_a_page_is_sent_as_lines_to_those_who_accept_them(ann: Client, busy: ProjectId) -> None:
    answer = ann.with_headers(accept="application/x-ndjson").get(
        f"/api/v1/projects/{busy}/audit", limit=2
    )

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert 'rel="next"' in answer.headers["link"]
    lines = answer.text.splitlines()
    assert [json.loads(line) for line in lines] == log(ann, busy)[:2]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "yesterday"}, "?since"),
        ({"since": "0.5"}, "?since"),
        ({"until": "1795392000"}, "?until"),
        ({"until": "2026-11-23"}, "?until"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "?since"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "?until"),
        ({"since": "2026-11-24T00:00:00Z", "until": "2026-11-23T00:00:00Z"}, "?until"),
        ({"cursor": "cHJqXzAx"}, "?cursor"),
        ({"actor": ""}, "?actor"),
        ({"target": "x" * 321}, "?target"),
        ({"limit": "101"}, "?limit"),
        ({"by": "ann"}, "?by"),
    ],
)
def test_a_bad_filter_is_refused_with_its_name(
    ann: Client, project: ProjectId, query: dict[str, str], pointer: str
) -> None:
    answer = ann.get(f"/api/v1/projects/{project}/audit", **query)

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("value", ["#", "ENTRY#", "é" * 320, "\ud83d\ude00", "a\x00b", "~"])
def test_any_text_can_be_looked_for(ann: Client, project: ProjectId, value: str) -> None:
    for name in ("actor", "action", "target"):
        assert (
            log(ann, project, **{name: value.encode("utf-16", "surrogatepass").decode("utf-16")})
            == []
        )


def test_a_stranger_sees_no_audit(bob: Client, busy: ProjectId) -> None:
    assert bob.get(f"/api/v1/projects/{busy}/audit").status == 404
    assert bob.get(f"/api/v1/projects/{busy}/audit/verify").status == 404
    assert bob.get("/api/v1/audit").status == 403
    assert bob.get("/api/v1/audit", project_id=str(busy)).status == 403
    assert bob.get("/api/v1/audit/verify").status == 403


def test_administrators_read_the_platforms_audit_and_that_of_a_deleted_project(
    ann: Client, root: Client, project: ProjectId
) -> None:
    assert ann.delete(f"/api/v1/projects/{project}").status == 204
    assert root.post("/api/v1/invitations", {"email": "eve@example.com"}).status == 201

    [gone] = root.get("/api/v1/audit", project_id=str(project)).json
    [invited] = root.get("/api/v1/audit").json

    assert (gone["action"], gone["target"]["name"]) == ("projects:delete", "payments")
    assert gone["before"]["name"] == "payments"
    assert invited["target"]["name"] == "eve@example.com"
    assert invited["after"]["platform_role"] == "member"


# --- the chain --------------------------------------------------------------------------------


def test_a_whole_chain_is_verified_and_says_what_is_not_linked_yet(
    ann: Client, busy: ProjectId
) -> None:
    first = verified(ann, busy)
    audit.link_all()
    second = verified(ann, busy)

    assert (first["ok"], first["entries"], first["unlinked"]) == (True, 4, 4)
    assert (second["ok"], second["entries"], second["unlinked"]) == (True, 8, 0)
    assert first["head"] != second["head"]
    assert second["broken_at"] is second["next"] is None


def test_a_long_chain_is_verified_page_by_page(ann: Client, busy: ProjectId) -> None:
    audit.link_all()
    whole = verified(ann, busy)

    at, pages = verified(ann, busy, limit=3), 1
    while at["next"]:
        at, pages = verified(ann, busy, limit=3, cursor=at["next"]), pages + 1

    assert at == whole
    assert pages >= 3


def _raw(key: table.Key) -> dict[str, Any]:
    [item] = table.get(key)
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}


def _entry(n: int) -> table.Key:
    item = audit.items()[n]
    return table.Key(item["pk"], item["sk"])


def change_an_entry(p: str) -> None:
    table.write(table.Put(_entry(2), {**_raw(_entry(2)), "actor": "usr_eve"}, None))


def change_a_field_before(p: str) -> None:
    table.write(table.Put(_entry(2), {**_raw(_entry(2)), "before": '{"name": "x"}'}, None))


def remove_an_entry(p: str) -> None:
    table.write(table.Delete(_entry(2)))


def swap_two_entries(p: str) -> None:
    one, other = _raw(_entry(2)), _raw(_entry(3))
    table.write(table.Put(_entry(2), other, None))
    table.write(table.Put(_entry(3), one, None))


def remove_a_link(p: str) -> None:
    table.write(table.Delete(audit_keys.link_key(p, 3)))


def swap_two_links(p: str) -> None:
    one, other = audit_keys.link_key(p, 3), audit_keys.link_key(p, 4)
    first, second = _raw(one), _raw(other)
    table.write(table.Put(one, {**second, "sequence": 3}, None))
    table.write(table.Put(other, {**first, "sequence": 4}, None))


def change_a_link(p: str) -> None:
    link = audit_keys.link_key(p, 3)
    table.write(table.Put(link, {**_raw(link), "digest": "0" * 64}, None))


def remove_the_last_link(p: str) -> None:
    table.write(table.Delete(audit_keys.link_key(p, 8)))


def take_the_head_back(p: str) -> None:
    link = _raw(audit_keys.link_key(p, 3))
    head = {"sequence": 3, "hash": link["hash"]}
    table.write(table.Put(audit_keys.head_key(p), head, None))


def remove_the_whole_chain(p: str) -> None:
    for n in range(1, 9):
        table.write(table.Delete(audit_keys.link_key(p, n)))
    table.write(table.Delete(audit_keys.head_key(p)))


def add_an_entry_in_the_past(p: str) -> None:
    made = {**_raw(_entry(2)), "id": "aud_0123456789abcdefghjk"}
    table.write(table.Put(audit_keys.entry_key(p, audit_keys.place_of(made)), made))


@pytest.mark.parametrize(
    ("tamper", "at", "reason"),
    [
        (change_an_entry, 3, "was changed"),
        (change_a_field_before, 3, "was changed"),
        (remove_an_entry, 3, "is missing"),
        (swap_two_entries, 3, "was changed"),
        (remove_a_link, 3, "Link 3 is missing"),
        (swap_two_links, 3, "does not follow"),
        (change_a_link, 3, "Link 3 was changed"),
        (remove_the_last_link, 8, "Link 8 is missing"),
        (take_the_head_back, 8, "not the head"),
        (remove_the_whole_chain, 1, "never linked"),
        (add_an_entry_in_the_past, 9, "aud_0123456789abcdefghjk"),
    ],
)
@pytest.mark.parametrize("limit", [500, 2])
def test_a_chain_that_somebody_changed_is_broken_there(
    ann: Client, busy: ProjectId, tamper: Any, at: int, reason: str, limit: int
) -> None:
    audit.link_all()
    assert verified(ann, busy)["ok"]

    tamper(busy.p)

    found = verified(ann, busy, limit=limit)
    while found["next"]:
        found = verified(ann, busy, limit=limit, cursor=found["next"])
    assert (found["ok"], found["broken_at"]) == (False, at)
    if limit == 500:
        assert reason in found["reason"]


def test_linking_twice_leaves_no_gap_and_no_double(ann: Client, busy: ProjectId) -> None:
    waiting = audit.items("UNLINKED#")
    assert len(waiting) == 4
    before = user_records.get(ann.user_id)

    for _ in range(3):
        audit.link_all()

    links = [item for item in audit.items("CHAIN#") if item["sk"].startswith("LINK#")]
    assert [link["sequence"] for link in links] == list(range(1, 9))
    assert len({link["entry"] for link in links}) == 8
    assert audit.items("UNLINKED#") == []
    assert user_records.get(ann.user_id) == before
