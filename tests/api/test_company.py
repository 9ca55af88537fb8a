"""The company's sign-in: from a browser that comes to one that has a session."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from slipway.access import signing
from slipway.services import registration
from slipway.store import account_records, table, user_records, wire
from tests.support.api import company as support
from tests.support.api.checks import assert_refused
from tests.support.api.client import Answer, Client
from tests.support.api.company import CALLBACK, ISSUER, LOGIN, PAGE, PUBLIC, Company
from tests.support.api.people import PASSWORD, password_hash
from tests.support.api.registering import administrator, prove, set_parameters, with_mail
from tests.support.store import world

ME, PASSWORD_LOGIN = "/api/v1/auth/me", "/api/v1/auth/login"
CREDENTIALS = {"username": "ann@example.com", "password": PASSWORD}


@pytest.fixture
def firm(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with support.company(monkeypatch) as made:
        yield made


def me(answer: Answer) -> dict[str, str]:
    """Whose tokens these are."""
    assert answer.status == 200, answer.text
    found = Client(answer.json["access_token"]).get(ME)
    assert found.status == 200, found.text
    user: dict[str, str] = found.json
    return user


def items() -> list[str]:
    """What the table has for accounts, besides the keys that tokens are verified with."""
    found = [wire.decode(each) for each in world.everything()]
    return sorted(f"{each['pk']} {each['sk']}" for each in found if each["pk"] != "KEYS")


# --- signing in ---------------------------------------------------------------------------------


def test_who_signs_in_the_first_time_becomes_a_user(firm: Company) -> None:
    user = me(firm.sign_in())

    assert (user["email"], user["platform_role"]) == ("ann@example.com", "member")
    assert user["status"] == "active"
    assert user["email_verified_at"]


def test_who_signs_in_again_is_the_same_user(firm: Company) -> None:
    assert me(firm.sign_in())["id"] == me(firm.sign_in())["id"]


def test_the_browser_is_sent_with_a_challenge_a_state_and_a_nonce(firm: Company) -> None:
    location = firm.browser().begin()

    parts = urlsplit(location)
    query = {name: value for name, [value] in parse_qs(parts.query).items()}
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}/authorize"
    assert (
        query.items()
        >= {
            "response_type": "code",
            "client_id": "slipway",
            "redirect_uri": PUBLIC + CALLBACK,
            "code_challenge_method": "S256",
            "scope": "openid email profile offline_access",
        }.items()
    )
    assert all(len(query[name]) >= 43 for name in ("state", "nonce", "code_challenge"))


def test_nothing_is_written_for_who_only_begins(firm: Company) -> None:
    signing.keyed_hash("the keys", "are published")

    firm.browser().begin()

    assert items() == []


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(firm: Company) -> None:
    answer = Client().get(LOGIN)

    [cookie] = answer.cookies
    name, *attributes = cookie.split("; ")
    assert name.startswith("slipway-sign-in=")
    assert set(attributes) == {"Path=/", "Max-Age=600", "HttpOnly", "SameSite=Lax"}


def test_on_https_the_cookie_is_that_of_this_host_alone(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_parameters(monkeypatch, PUBLIC_URL="https://slipway.example.com")

    [cookie] = Client().get(LOGIN).cookies

    assert cookie.startswith("__Host-slipway-sign-in=")
    assert {"Secure", "Path=/"} <= set(cookie.split("; "))


def test_the_cookie_is_removed_and_tells_nothing(firm: Company) -> None:
    browser = firm.browser()
    query = browser.authorize(browser.begin())
    [kept] = browser.cookies

    answer = browser.come_back(query)

    assert query["state"] not in kept
    assert browser.cookies == ()
    assert "Max-Age=0" in answer.cookies[0]


def test_a_program_gets_json_and_a_browser_a_page_without_scripts(firm: Company) -> None:
    browser = firm.browser()
    browser.headers = PAGE

    page = browser.sign_in(return_to="/docs/errors?a=1")

    assert firm.sign_in().headers["content-type"] == "application/json"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert "script" not in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert '<a href="/docs/errors?a=1">' in page.text
    assert "ann@example.com" in page.text


def test_what_an_address_has_in_it_is_text_in_the_page(firm: Company) -> None:
    firm.provider.people["ann"]["email"] = "o'brien&sons@example.com"
    browser = firm.browser()
    browser.headers = PAGE

    page = browser.sign_in(return_to="/docs?x='y'&z=<b>")

    assert "o&#x27;brien&amp;sons@example.com" in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_nobody_is_sent_to_another_site(firm: Company, elsewhere: str) -> None:
    answer = Client().get(LOGIN, return_to=elsewhere)

    assert_refused(answer, 422, "invalid_request", "?return_to")
    assert answer.cookies == ()


def test_a_platform_without_a_company_says_so(aws: None) -> None:
    for path in (LOGIN, CALLBACK):
        assert_refused(Client().get(path), 403, "company_off")


# --- refusals -----------------------------------------------------------------------------------


def test_a_link_to_a_callback_is_worth_nothing_in_another_browser(firm: Company) -> None:
    """Login CSRF: the victim would work in the attacker's account."""
    attacker = firm.browser()
    query = attacker.authorize(attacker.begin())
    victim = firm.browser()

    without = victim.come_back(query)
    victim.begin()
    with_another = victim.come_back(query)

    for answer in (without, with_another):
        assert_refused(answer, 403, "sign_in_invalid")
    assert items() == []


@pytest.mark.parametrize("state", [None, "", "another", "ä"])
def test_another_state_is_refused(firm: Company, state: str | None) -> None:
    browser = firm.browser()
    query = browser.authorize(browser.begin())
    del query["state"]

    answer = browser.come_back(query if state is None else {**query, "state": state})

    assert_refused(answer, 403, "sign_in_invalid")


def test_a_cookie_of_anothers_making_is_refused(firm: Company) -> None:
    browser = firm.browser()
    query = browser.authorize(browser.begin())
    name, _, sealed = browser.cookies[0].partition("=")

    for forged in ("", "x", sealed[:-2] + "AA", "A" + sealed, "ä"):
        browser.cookies = (f"{name}={forged}",)
        assert_refused(browser.come_back(query), 403, "sign_in_invalid")


def test_a_sign_in_that_took_too_long_is_refused(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipway.services import company_sign_in

    monkeypatch.setattr(company_sign_in, "SECONDS", -1)

    assert_refused(firm.sign_in(), 403, "sign_in_invalid")


def test_a_code_is_used_once(firm: Company) -> None:
    browser = firm.browser()
    query = browser.authorize(browser.begin())
    kept = browser.cookies
    assert browser.come_back(query).status == 200
    browser.cookies = kept

    assert_refused(browser.come_back(query), 403, "sign_in_invalid")


def test_a_stolen_code_is_worth_nothing_in_a_sign_in_of_the_thief(firm: Company) -> None:
    """Code injection: the challenge is that of the victim's browser, not that of the thief's."""
    victim, thief = firm.browser(), firm.browser()
    stolen = victim.authorize(victim.begin())
    own = thief.authorize(thief.begin())

    assert_refused(thief.come_back({**own, "code": stolen["code"]}), 403, "sign_in_invalid")


def test_an_answer_of_another_issuer_is_refused(firm: Company) -> None:
    """Mix-up (RFC 9207)."""
    for iss in ("https://other.example", ISSUER + "/", None):
        browser = firm.browser()
        query = browser.authorize(browser.begin())
        del query["iss"]
        told = query if iss is None else {**query, "iss": iss}
        assert_refused(browser.come_back(told), 403, "sign_in_invalid")


def test_the_providers_refusal_is_told(firm: Company) -> None:
    firm.provider.disabled.add("ann")

    answer = firm.sign_in()

    assert_refused(answer, 403, "sign_in_refused")
    assert "access_denied" in answer.json["detail"]
    assert items() == []


def test_a_refusal_says_nothing_that_a_link_could_make_it_say(firm: Company) -> None:
    browser = firm.browser()
    query = browser.authorize(browser.begin())
    query = {"state": query["state"], "iss": ISSUER, "error": "x" * 300 + "\u202e"}

    answer = browser.come_back({**query, "error_description": "call 555-0100"})

    assert_refused(answer, 403, "sign_in_refused")
    assert "555" not in answer.text
    assert len(answer.json["detail"]) < 150


# --- addresses and accounts ---------------------------------------------------------------------


@pytest.mark.parametrize("verified", [False, "false", None, 1, "yes", []])
def test_an_address_that_is_not_proven_leads_to_no_account(firm: Company, verified: object) -> None:
    user_records.add("ann@example.com", password_hash())
    before = items()
    firm.provider.people["ann"] = {"email": "ann@example.com", "email_verified": verified}

    assert_refused(firm.sign_in(), 403, "sign_in_refused")

    assert items() == before


@pytest.mark.parametrize("email", [None, "", "ann", "ann@", "a" * 250 + "@example.com", 7])
def test_who_has_no_address_becomes_no_user(firm: Company, email: object) -> None:
    firm.provider.people["ann"] = {"email": email, "email_verified": True}

    assert_refused(firm.sign_in(), 403, "sign_in_refused")


def test_a_provider_that_proves_addresses_in_silence_can_be_trusted(firm: Company) -> None:
    support.configure(trust_emails="true")
    firm.provider.people["ann"] = {"email": "Ann@Example.com"}
    firm.provider.people["eve"] = {"email": "eve@example.com", "email_verified": False}

    assert me(firm.sign_in())["email"] == "Ann@example.com"
    assert_refused(firm.sign_in("eve"), 403, "sign_in_refused")


def test_an_account_with_the_address_becomes_the_owners_of_the_address(firm: Company) -> None:
    """Whoever registered the address first, perhaps without proof, has no way in any more."""
    first = user_records.add("ann@example.com", password_hash())
    squatter = Client(signing.mint(first.id).access_token, first.id)
    assert squatter.get(ME).status == 200

    user = me(firm.sign_in())

    assert user["id"] == first.id
    assert user["email_verified_at"]
    assert_refused(squatter.get(ME), 401, "session_ended")
    assert_refused(Client().form(PASSWORD_LOGIN, CREDENTIALS), 401, "wrong_credentials")
    assert me(firm.sign_in())["id"] == first.id


def test_no_link_gives_a_password_to_who_signs_in_with_the_company(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who is disabled there, or has their address by now, would come in by the other door."""
    first = user_records.add("ann@example.com", password_hash())
    prove(first.id)
    mailbox = with_mail(monkeypatch)
    Client().post("/api/v1/auth/password-reset", {"email": "ann@example.com"})
    before = mailbox.mails[-1][2].split("reset=")[1].split()[0]
    firm.sign_in()

    Client().post("/api/v1/auth/password-reset", {"email": "ann@example.com"})
    made = administrator().post(f"/api/v1/users/{first.id}/password-reset")

    confirm = {"token": before, "new_password": "correct horse battery"}
    refused = Client().post("/api/v1/auth/password-reset/confirm", confirm)
    assert_refused(refused, 403, "link_invalid")
    assert "reset=" not in mailbox.mails[-1][2]
    assert "/api/v1/auth/oidc/login" in mailbox.mails[-1][2]
    assert_refused(made, 409, "company_account")


def test_the_operator_lets_a_user_in_when_the_provider_is_lost(firm: Company) -> None:
    user = me(firm.sign_in())
    _, invitation = registration.invite_administrator("ann@example.com")

    new = {"email": "ann@example.com", "password": PASSWORD, "invitation": invitation}
    assert Client().post("/api/v1/auth/register", new).status == 201

    back = me(Client().form(PASSWORD_LOGIN, CREDENTIALS))
    assert (back["id"], back["platform_role"]) == (user["id"], "admin")


def test_a_reassigned_address_leads_to_nobody_elses_account(firm: Company) -> None:
    leaver = me(firm.sign_in())
    firm.provider.people["another-ann"] = dict(support.ANN)

    answer = firm.sign_in("another-ann")

    assert_refused(answer, 409, "identity_taken")
    assert me(firm.sign_in())["id"] == leaver["id"]


def test_a_new_address_there_is_the_same_user_here(firm: Company) -> None:
    user = me(firm.sign_in())
    firm.provider.people["ann"]["email"] = "ann.smith@example.com"
    firm.provider.people["ann"]["email_verified"] = False

    assert me(firm.sign_in())["id"] == user["id"]


def test_another_provider_of_the_operators_choice_takes_accounts_over(firm: Company) -> None:
    user = me(firm.sign_in())
    identity = table.get(account_records.key(user["id"]))[0]["identity"]
    moved = {**identity, "issuer": "https://previous.example"}
    table.write(
        table.Update(account_records.key(user["id"]), "SET #identity = :moved", {"moved": moved})
    )
    firm.provider.people["ann-1"] = firm.provider.people["ann"]

    assert me(firm.sign_in("ann-1"))["id"] == user["id"]


def test_who_is_disabled_here_stays_out(firm: Company) -> None:
    user = me(firm.sign_in())
    administrator().post(f"/api/v1/users/{user['id']}/disable")

    assert_refused(firm.sign_in(), 401, "account_disabled")


def test_a_disabled_account_is_not_linked(firm: Company) -> None:
    first = user_records.add("ann@example.com", password_hash())
    administrator().post(f"/api/v1/users/{first.id}/disable")
    before = items()

    assert_refused(firm.sign_in(), 401, "account_disabled")

    assert items() == before


def test_a_deleted_user_leaves_nothing_behind_and_may_come_again(firm: Company) -> None:
    root = administrator()
    before = items()
    user = me(firm.sign_in())

    root.post(f"/api/v1/users/{user['id']}/disable")
    assert root.delete(f"/api/v1/users/{user['id']}").status == 204

    left = [each for each in items() if each not in before]
    kept = ("ACCOUNT#usr", "RATE", "AUDIT#", "UNLINKED#")
    assert [each for each in left if not each.startswith(kept)] == []
    assert me(firm.sign_in())["id"] != user["id"]


def test_allowed_domains_hold_for_the_companys_people_too(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_parameters(monkeypatch, ALLOWED_EMAIL_DOMAINS="example.org", REGISTRATION="closed")
    firm.provider.people["bob"] = {"email": "bob@example.org", "email_verified": True}

    assert_refused(firm.sign_in(), 403, "registration_closed")
    assert me(firm.sign_in("bob"))["email"] == "bob@example.org"


def test_an_invitation_gives_its_role_at_the_first_sign_in_and_is_used_up(firm: Company) -> None:
    root = administrator()
    wanted = {"email": "ann@example.com", "platform_role": "publisher"}
    assert root.post("/api/v1/invitations", wanted).status == 201

    assert me(firm.sign_in())["platform_role"] == "publisher"
    assert root.get("/api/v1/invitations").json == []


def test_two_first_sign_ins_at_once_make_one_user(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = firm.browser(), firm.browser()
    queries = [each.authorize(each.begin()) for each in (first, second)]
    read, others = table.get, [lambda: me(second.come_back(queries[1]))]
    met: list[dict[str, str]] = []

    def get(*keys: table.Key) -> list[object]:
        found = read(*keys)
        if others and keys[0].pk.startswith("IDENTITY#"):
            met.append(others.pop()())
        return found

    monkeypatch.setattr(table, "get", get)

    user = me(first.come_back(queries[0]))

    assert [user["id"]] == [each["id"] for each in met]
    assert len([each for each in items() if each.startswith("ACCOUNT#ALL USER#")]) == 1


# --- without passwords --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("login", CREDENTIALS),
        ("register", {"email": "new@example.com", "password": PASSWORD}),
        ("register", {"email": "new@example.com", "password": PASSWORD, "invitation": "inv_1.x"}),
        ("verify-email", {"token": "x", "password": PASSWORD}),
        ("password-reset", {"email": "ann@example.com"}),
        ("password-reset/confirm", {"token": "x", "new_password": "correct horse battery"}),
        ("password", {"current_password": PASSWORD, "new_password": "correct horse battery"}),
    ],
)
def test_a_platform_without_passwords_takes_none(
    firm: Company, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
) -> None:
    ann = user_records.add("ann@example.com", password_hash())
    client = Client(signing.mint(ann.id).access_token, ann.id)
    set_parameters(monkeypatch, PASSWORD_SIGN_IN="false")
    before = items()

    assert_refused(client.post(f"/api/v1/auth/{path}", body), 403, "passwords_off")

    assert items() == before
    assert me(firm.sign_in())["id"] == ann.id
