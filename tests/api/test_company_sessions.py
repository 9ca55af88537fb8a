"""Sessions of the company's people: they go on as long as the provider says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from slipway.access import signing
from slipway.domain.ids import ProjectId
from slipway.store import account_records, table, wire
from slipway.store.table import Transaction
from tests.support.api import company as support
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.api.company import Company, Sent, changed
from tests.support.api.members import add, assert_sound, has_seats, members_of, roles
from tests.support.api.people import signed_in
from tests.support.api.registering import administrator, set_parameters
from tests.support.store import between, world

ME, REFRESH, TOKEN = "/api/v1/auth/me", "/api/v1/auth/refresh", "/token"


@pytest.fixture
def firm(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with support.company(monkeypatch) as made:
        yield made


def refresh(tokens: Answer) -> Answer:
    return Client().post(REFRESH, {"refresh_token": tokens.json["refresh_token"]})


def who(tokens: Answer) -> Answer:
    return Client(tokens.json["access_token"]).get(ME)


def role(tokens: Answer) -> str:
    found: str = who(tokens).json["platform_role"]
    return found


# --- going on -----------------------------------------------------------------------------------


def test_a_session_goes_on_while_the_provider_says_so(firm: Company) -> None:
    tokens = firm.sign_in()

    for _ in range(3):
        tokens = refresh(tokens)
        assert tokens.status == 200, tokens.text

    assert who(tokens).json["email"] == "ann@example.com"
    assert firm.wire.paths.count(TOKEN) == 4


def test_tabs_that_refresh_at_once_ask_the_provider_one_after_another(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = firm.sign_in()
    body = {"refresh_token": first.json["refresh_token"], "repeat_key": "k" * 40}

    def repeat() -> Answer:
        return Client().post(REFRESH, body)

    answers: list[Any] = between.at_once(monkeypatch, repeat, repeat, repeat)

    assert {each.status for each in answers} <= {200, 429}
    later = repeat()
    assert later.status == 200
    given = {each.json["refresh_token"] for each in [*answers, later] if each.status == 200}
    assert len(given) == 1
    assert firm.wire.paths.count(TOKEN) == 2
    assert refresh(later).status == 200


def test_who_is_disabled_there_is_out_at_the_next_refresh(firm: Company) -> None:
    tokens = firm.sign_in()
    firm.provider.disabled.add("ann")

    assert_refused(refresh(tokens), 401, "session_ended")

    assert_refused(who(tokens), 401, "session_ended")
    assert_refused(refresh(tokens), 401, "refresh_token_invalid")
    assert_refused(firm.sign_in(), 403, "sign_in_refused")


def test_who_is_enabled_there_again_signs_in_again(firm: Company) -> None:
    tokens = firm.sign_in()
    firm.provider.disabled.add("ann")
    refresh(tokens)
    firm.provider.disabled.clear()

    assert firm.sign_in().status == 200
    assert_refused(refresh(tokens), 401, "refresh_token_invalid")


def test_a_session_ends_alone(firm: Company) -> None:
    """The provider has ended one of two: who is signed in elsewhere stays so."""
    first, second = firm.sign_in(), firm.sign_in()
    ended = next(iter(firm.provider.refreshes.values()))
    ended.used = True

    assert_refused(refresh(first), 401, "session_ended")
    assert refresh(second).status == 200


def test_who_is_disabled_here_is_not_asked_for_there(firm: Company) -> None:
    tokens = firm.sign_in()
    administrator().post(f"/api/v1/users/{who(tokens).json['id']}/disable")
    asked = len(firm.wire.paths)

    assert_refused(refresh(tokens), 401, "account_disabled")
    assert len(firm.wire.paths) == asked


def test_a_session_without_the_providers_refresh_token_does_not_go_on(firm: Company) -> None:
    firm.wire.disturb = lambda path, ask: (
        changed(ask(), refresh_token=None) if path == TOKEN else ask()
    )

    tokens = firm.sign_in()

    assert who(tokens).status == 200
    assert "refresh_token" not in tokens.json


def test_a_provider_that_keeps_its_refresh_token_is_asked_with_the_same_again(
    firm: Company,
) -> None:
    tokens = firm.sign_in()
    firm.wire.disturb = lambda path, ask: (
        changed(ask(), refresh_token=None) if path == TOKEN else ask()
    )
    tokens = refresh(tokens)
    [first, *_] = firm.provider.refreshes.values()
    first.used = False

    assert refresh(tokens).status == 200


def test_the_table_does_not_have_the_providers_refresh_token(firm: Company) -> None:
    refresh(firm.sign_in())

    held = json.dumps([wire.decode(each) for each in world.everything()])

    assert firm.provider.refreshes
    assert [text for text in firm.provider.refreshes if text in held] == []
    assert "company" in held


def test_what_one_session_keeps_is_worth_nothing_in_another(firm: Company) -> None:
    """Who can write the table moves nobody's session into the own one."""
    firm.provider.people["bob"] = {"email": "bob@example.com", "email_verified": True}
    tokens, _ = firm.sign_in(), firm.sign_in("bob")
    mine, other = (
        next(each for each in families() if each["pk"] == account_records.key(user).pk)
        for user in (who(tokens).json["id"], user_of("bob@example.com"))
    )
    key = table.Key(mine["pk"], mine["sk"])
    table.write(table.Update(key, "SET company = :other", {"other": other["company"]}))

    assert_refused(refresh(tokens), 401, "session_ended")


def families() -> list[dict[str, str]]:
    found = [wire.decode(each) for each in world.everything()]
    return [each for each in found if each["sk"].startswith("FAMILY#")]


def user_of(email: str) -> str:
    [entry] = table.get(account_records.email_key(email))
    user_id: str = entry["user_id"]
    return user_id


def test_another_signing_secret_ends_the_sessions_of_the_company(firm: Company) -> None:
    tokens = firm.sign_in()
    boto3.client("secretsmanager").put_secret_value(SecretId="signing", SecretString="t" * 64)
    signing.forget()

    assert_refused(refresh(tokens), 401, "session_ended")
    assert firm.sign_in().status == 200


def test_sessions_end_with_the_companys_sign_in(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = firm.sign_in(), firm.sign_in()
    set_parameters(monkeypatch, OIDC_SECRET="")

    assert_refused(refresh(first), 401, "session_ended")

    set_parameters(monkeypatch, OIDC_SECRET="company")
    support.configure(issuer="https://id.example.com")
    assert_refused(refresh(second), 401, "session_ended")


# --- faults -------------------------------------------------------------------------------------


def timed_out(ask: Callable[[], Sent]) -> Sent:
    raise TimeoutError


FAULTS: dict[str, Callable[[Callable[[], Sent]], Sent]] = {
    "is slow": timed_out,
    "fails": lambda ask: (500, b"oops"),
    "knows no such client": lambda ask: (401, b'{"error": "invalid_client"}'),
    "is confused": lambda ask: (400, b'{"error": "invalid_request"}'),
    "answers of somebody else": lambda ask: (200, b'{"access_token": "x", "id_token": "a.b.c"}'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_does_not_answer_ends_no_session(firm: Company, fault: str) -> None:
    tokens = firm.sign_in()
    firm.wire.disturb = lambda path, ask: FAULTS[fault](ask) if path == TOKEN else ask()

    answer = refresh(tokens)

    assert_refused(answer, 503, "provider_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert who(tokens).status == 200
    firm.wire.disturb = None
    assert refresh(tokens).status == 200


def test_an_answer_that_says_nothing_of_the_person_changes_no_role(firm: Company) -> None:
    support.configure(groups="platform=publisher")
    firm.provider.people["ann"]["groups"] = ["platform"]
    tokens = firm.sign_in()
    firm.wire.disturb = lambda path, ask: changed(ask(), id_token=None) if path == TOKEN else ask()

    assert role(refresh(tokens)) == "publisher"


# --- groups -------------------------------------------------------------------------------------


def test_groups_give_a_role_and_take_it_away(firm: Company) -> None:
    support.configure(groups="everyone=publisher;platform=admin")
    firm.provider.people["ann"]["groups"] = ["everyone", "platform", "others"]
    tokens = firm.sign_in()
    roles = [role(tokens)]
    administrator()

    for groups in (["everyone"], [], ["everyone"]):
        firm.provider.people["ann"]["groups"] = groups
        tokens = refresh(tokens)
        roles.append(role(tokens))

    assert roles == ["admin", "publisher", "member", "publisher"]


@pytest.mark.parametrize("again", [refresh, lambda _: None])
def test_groups_hold_at_the_refresh_and_at_the_next_sign_in(
    firm: Company, again: Callable[[Answer], Answer | None]
) -> None:
    support.configure(groups="platform=publisher")
    tokens = firm.sign_in()
    firm.provider.people["ann"]["groups"] = ["platform"]

    assert role(again(tokens) or firm.sign_in()) == "publisher"


def test_the_audit_tells_what_the_companys_sign_in_changes(firm: Company) -> None:
    root = administrator()
    project = world.project(root.principal)
    support.configure(groups=f"platform=publisher;web={project}:deployer")
    firm.provider.people["ann"]["groups"] = ["web"]

    tokens = firm.sign_in()
    user = who(tokens).json
    firm.provider.people["ann"]["groups"] = ["platform"]
    refresh(refresh(tokens))

    def told(path: str) -> list[str]:
        entries = root.get(path, actor=user["id"]).json
        assert {each["actor"]["name"] for each in entries} == {"ann@example.com"}
        assert {each["target"]["id"] for each in entries} == {user["id"]}
        return [each["action"] for each in entries]

    assert sorted(told("/api/v1/audit")) == ["account:sign-in", "users:change", "users:register"]
    assert told(f"/api/v1/projects/{project}/audit") == ["members:change", "members:change"]


def test_a_role_that_people_gave_stays_when_the_group_goes(firm: Company) -> None:
    support.configure(groups="platform=admin")
    root = administrator()
    tokens = firm.sign_in()
    path = f"/api/v1/users/{who(tokens).json['id']}"
    assert root.patch(path, {"platform_role": "publisher"}).status == 200

    firm.provider.people["ann"]["groups"] = ["platform"]
    tokens = refresh(tokens)
    given = role(tokens)
    firm.provider.people["ann"]["groups"] = []

    assert (given, role(refresh(tokens))) == ("admin", "publisher")


def test_a_role_that_people_changed_since_is_theirs(firm: Company) -> None:
    support.configure(groups="web=publisher")
    root = administrator()
    firm.provider.people["ann"]["groups"] = ["web"]
    tokens = firm.sign_in()
    path = f"/api/v1/users/{who(tokens).json['id']}"
    assert root.patch(path, {"platform_role": "admin"}).status == 200

    tokens = refresh(tokens)
    firm.provider.people["ann"]["groups"] = []

    assert (role(tokens), role(refresh(tokens))) == ("admin", "admin")


def test_the_last_administrator_stays_one(firm: Company) -> None:
    support.configure(groups="platform=admin")
    firm.provider.people["ann"]["groups"] = ["platform"]
    tokens = firm.sign_in()
    firm.provider.people["ann"]["groups"] = []

    tokens = refresh(tokens)

    assert role(tokens) == "admin"
    administrator()
    assert role(refresh(tokens)) == "member"


def test_groups_that_the_provider_left_out_change_nothing(firm: Company) -> None:
    """Entra ID does so for who has more than two hundred."""
    support.configure(groups="platform=publisher")
    firm.provider.people["ann"]["groups"] = ["platform"]
    tokens = firm.sign_in()
    del firm.provider.people["ann"]["groups"]
    firm.provider.people["ann"]["_claim_names"] = {"groups": "src1"}

    assert role(refresh(tokens)) == "publisher"


@pytest.mark.parametrize("claim", ["groups", "cognito:groups", "https://example.com/groups"])
def test_the_claim_with_the_groups_is_the_operators_choice(firm: Company, claim: str) -> None:
    support.configure(groups="The web team=publisher", groups_claim=claim)
    firm.provider.people["ann"][claim] = "The web team"

    assert role(firm.sign_in()) == "publisher"


def test_a_change_by_an_administrator_meanwhile_is_kept(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    support.configure(groups="platform=publisher")
    root = administrator()
    tokens = firm.sign_in()
    user_id = who(tokens).json["id"]
    firm.provider.people["ann"]["groups"] = ["platform"]
    commit, first = Transaction.commit, [True]

    def late(self: Transaction) -> None:
        if first and "listing" in self.parts:
            first.clear()
            path = f"/api/v1/users/{user_id}"
            assert root.patch(path, {"platform_role": "admin"}).status == 200
        commit(self)

    monkeypatch.setattr(Transaction, "commit", late)

    assert role(refresh(tokens)) == "admin"
    assert not first


# --- groups and projects ------------------------------------------------------------------------


def in_project(tokens: Answer, project: ProjectId) -> str | None:
    """The role in the project."""
    answer = Client(tokens.json["access_token"]).get(f"/api/v1/projects/{project}/permissions")
    return answer.json["role"] if answer.status == 200 else None


@pytest.fixture
def owner(firm: Company) -> Client:
    return signed_in("owner@example.com")


@pytest.fixture
def project(owner: Client) -> ProjectId:
    return world.project(owner.principal)


def in_groups(firm: Company, *names: str) -> None:
    firm.provider.people["ann"]["groups"] = list(names)


def test_groups_give_roles_in_projects_and_take_them_away(
    firm: Company, owner: Client, project: ProjectId
) -> None:
    support.configure(groups=f"web={project}:viewer;leads={project}:maintainer")
    tokens = firm.sign_in()
    seen = [in_project(tokens, project)]

    for names in (["web"], ["web", "leads"], ["web"], []):
        in_groups(firm, *names)
        tokens = refresh(tokens)
        seen.append(in_project(tokens, project))
        assert_sound(project)

    assert seen == [None, "viewer", "maintainer", "viewer", None]
    assert roles(owner, project) == {"owner@example.com": "owner"}


def test_a_first_sign_in_leads_to_the_projects_of_the_groups(
    firm: Company, owner: Client, project: ProjectId
) -> None:
    support.configure(groups=f"web={project}:deployer")
    in_groups(firm, "web")

    tokens = firm.sign_in()

    listed = Client(tokens.json["access_token"]).get("/api/v1/projects").json
    assert [each["id"] for each in listed] == [str(project)]
    assert roles(owner, project)["ann@example.com"] == "deployer"
    assert_sound(project)


def test_a_role_in_a_project_that_people_gave_stays(
    firm: Company, owner: Client, project: ProjectId
) -> None:
    support.configure(groups=f"web={project}:maintainer")
    tokens = firm.sign_in()
    assert add(owner, project, "ann@example.com", "viewer").status == 201

    in_groups(firm, "web")
    tokens = refresh(tokens)
    given = in_project(tokens, project)
    in_groups(firm)
    tokens = refresh(tokens)

    assert (given, in_project(tokens, project)) == ("maintainer", "viewer")
    assert_sound(project)


def test_an_owner_stays_one_whatever_the_groups_say(
    firm: Company, owner: Client, project: ProjectId
) -> None:
    support.configure(groups=f"web={project}:viewer")
    in_groups(firm, "web")
    tokens = firm.sign_in()
    member = f"{members_of(project)}/{who(tokens).json['id']}"
    assert owner.patch(member, {"role": "owner"}).status == 200

    tokens = refresh(tokens)
    in_groups(firm)

    assert in_project(refresh(tokens), project) == "owner"
    assert_sound(project)


def test_roles_go_with_the_mapping_too(firm: Company, project: ProjectId) -> None:
    support.configure(groups=f"web={project}:deployer")
    in_groups(firm, "web")
    tokens = firm.sign_in()
    support.configure(groups="")

    assert in_project(refresh(tokens), project) is None
    assert_sound(project)


def test_a_project_that_is_gone_or_full_keeps_nobody_out(
    firm: Company, owner: Client, project: ProjectId
) -> None:
    gone = world.project(owner.principal, "gone")
    support.configure(groups=f"web={project}:viewer;web={gone}:viewer;web=prj_{'x' * 20}:viewer")
    in_groups(firm, "web")
    has_seats(project, 40)
    tokens = firm.sign_in()
    assert in_project(tokens, gone) == "viewer"
    assert owner.delete(f"/api/v1/projects/{gone}").status == 204

    tokens = refresh(tokens)

    assert tokens.status == 200
    assert in_project(tokens, project) is None
