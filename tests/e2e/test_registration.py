"""Registration on a platform that sends mail: with IAM enforced, SES included."""

from __future__ import annotations

import re
import time

import pytest

from local.platform import Platform
from tests.support.http_user import PASSWORD, Person

pytestmark = pytest.mark.xdist_group("e2e")

DOMAINS = {"Registration": "domains", "AllowedEmailDomains": "corp.example"}


def link(platform: Platform, word: str) -> str:
    """The secret of the last link of this kind that the terminal shows."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        log = (platform.run_dir / "emulator.log").read_text()
        if found := re.findall(rf"/docs/account#{word}=([\w.-]+)", log):
            return str(found[-1])
        time.sleep(0.1)
    raise AssertionError("No mail arrived")


def test_the_owner_of_an_address_in_the_domain_comes_in_and_nobody_else() -> None:
    with Platform(parameters=DOMAINS) as platform:
        ann, eve = Person(platform.url, email="ann@corp.example"), Person(platform.url)
        register, body = "/api/v1/auth/register", {"email": ann.email, "password": PASSWORD}

        refused = eve.ask("POST", register, {"email": eve.email, "password": PASSWORD})
        asked = ann.ask("POST", register, body)
        form = {"username": ann.email, "password": PASSWORD}
        early = ann.ask("POST", "/api/v1/auth/login", form=form)
        proof = {"token": link(platform, "verify"), "password": PASSWORD}
        made = ann.ask("POST", "/api/v1/auth/verify-email", proof)
        ann.token = ann.ask("POST", "/api/v1/auth/login", form=form).body["access_token"]
        me = ann.ask("GET", "/api/v1/auth/me")
        template = ann.ask("POST", "/api/v1/templates", {"name": "web"})

    assert (refused.status, refused.body["code"]) == (403, "registration_closed")
    assert (asked.status, early.status, made.status) == (202, 401, 201)
    assert me.body["email"] == "ann@corp.example"
    assert me.body["email_verified_at"] is not None
    assert template.status == 201
