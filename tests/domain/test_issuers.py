"""Which issuers may be asked, and which claims say whose workload it is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.domain import issuers
from slipway.domain.claims import as_text, differences
from slipway.domain.trust import NewTrust

ASKED = [
    "https://token.actions.githubusercontent.com",
    "https://token.actions.githubusercontent.com/octo-enterprise",
    "https://gitlab.com",
    "https://gitlab.example.com:443",
    "https://ghe.example.com/_services/token",
    "https://tenant.example.com/",
    "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
    "https://xn--mnchen-3ya.example.com",
]
NOT_ASKED = [
    # Names and addresses of the inside.
    "https://localhost",
    "https://localhost.",
    "https://issuer",
    "https://issuer.localhost",
    "https://issuer.internal",
    "https://metadata.google.internal",
    "https://printer.local",
    "https://router.lan",
    "https://nas.home.arpa",
    # Addresses in every notation that resolvers accept.
    "https://127.0.0.1",
    "https://169.254.169.254",
    "https://10.0.0.1",
    "https://8.8.8.8",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.1",
    "https://0177.0.0.1",
    "https://127.1",
    "https://1.1.1.0x1",
    "https://[::1]",
    "https://[fd00:ec2::254]",
    "https://[::ffff:169.254.169.254]",
    # Other schemes, ports, and what would send the request elsewhere.
    "http://ci.example.com",
    "ftp://ci.example.com",
    "file:///etc/passwd",
    "//ci.example.com",
    "ci.example.com",
    "https://ci.example.com:22",
    "https://ci.example.com:8443",
    "https://user@ci.example.com",
    "https://user:secret@ci.example.com",
    "https://ci.example.com@169.254.169.254",
    "https://ci.example.com\\@169.254.169.254",
    "https://ci.example.com#@169.254.169.254",
    "https://ci.example.com?x=1",
    "https://ci.example.com/?x=1",
    "https://ci.example.com/#x",
    "https://ci.example.com/../admin",
    "https://ci.example.com/%2e%2e/admin",
    "https://ci.example.com//admin",
    "https://ci.example.com/a b",
    "https://ci.example.com/\r\nHost: x",
    "https://ci.example.com\n",
    "https://CI.example.com",
    "https://ci.example.com.",
    "https://-ci.example.com",
    "https://ci..example.com",
    "https://ci_1.example.com",
    "https://münchen.example.com",
    "https://①②⑦.0.0.1",
    "https://*.example.com",
    "https://" + "a" * 250 + ".com",
    "",
    # Loopback, but not exactly.
    "http://127.0.0.2:8000",
    "http://localhost.example.com",
    "http://localhost:80@169.254.169.254",
    "http://127.0.0.1.example.com",
    "http://[::1%25eth0]:80",
]


@pytest.mark.parametrize("url", ASKED)
def test_an_issuer_with_a_public_name_may_be_asked(url: str) -> None:
    assert issuers.is_issuer(url)
    assert not issuers.is_loopback(url)


@pytest.mark.parametrize("url", NOT_ASKED)
def test_what_could_lead_inside_or_elsewhere_is_no_issuer(url: str) -> None:
    assert not issuers.is_issuer(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:80/a"])
def test_loopback_is_told_apart(url: str) -> None:
    assert issuers.is_issuer(url)
    assert issuers.is_loopback(url)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.8.8"),
        *("169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.8"),
        *("192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.7"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "100::1", "3fff::1"),
        *("localhost", "8.8.8", "0x08080808", "", "8.8.8.8%eth0"),
    ],
)
def test_an_address_that_is_not_public_is_not_connected_to(address: str) -> None:
    assert not issuers.is_public_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "140.82.121.4", "2606:50c0:8000::153"])
def test_a_public_address_may_be_connected_to(address: str) -> None:
    assert issuers.is_public_address(address)


# --- whose workload it is ---------------------------------------------------------------------


def trust(claims: dict[str, Any], **fields: Any) -> NewTrust:
    return NewTrust.model_validate({"claims": claims, "scopes": ["read"], **fields})


GITHUB = {"issuer": issuers.GITHUB}
GITLAB = {"issuer": issuers.GITLAB}
OTHER = {"issuer": "https://ci.example.com"}
PINNED = [
    (GITHUB, {"repository_id": 456789}, "repository_id"),
    (GITHUB, {"repository_id": "456789", "repository_owner_id": "1"}, "repository_id"),
    (GITHUB, {"repository_owner_id": "123456", "environment": "prod"}, "repository_owner_id"),
    (GITHUB, {"sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}, "sub"),
    (GITHUB, {"sub": "repo:octo-org@123456/octo-repo@456789:environment:prod"}, "sub"),
    (GITHUB, {"sub": "repository_id:456789:ref:refs/heads/main"}, "sub"),
    ({"preset": "github"}, {"repository_id": "456789", "ref": "main"}, "repository_id"),
    ({"preset": "github", **OTHER}, {"repository_id": "456789"}, "repository_id"),
    (GITLAB, {"project_id": 22}, "project_id"),
    (GITLAB, {"namespace_id": "72", "ref_protected": True}, "namespace_id"),
    (GITLAB, {"sub": "project_path:group/sub/app:ref_type:branch:ref:main"}, "sub"),
    ({"preset": "gitlab", **OTHER}, {"project_id": "22"}, "project_id"),
    (OTHER, {"sub": "system:serviceaccount:ci:deployer"}, "sub"),
    (OTHER, {"pipeline_id": "7", "ref": "main"}, "pipeline_id"),
]
UNPINNED = [
    (GITHUB, {"ref": "refs/heads/main"}),
    (GITHUB, {"environment": "production"}),
    (GITHUB, {"actor": "octocat"}),
    (GITHUB, {"actor_id": "583231"}),
    # Names may be taken by somebody else when they become free.
    (GITHUB, {"repository": "octo-org/octo-repo"}),
    (GITHUB, {"repository_owner": "octo-org"}),
    # Anyone may call a public reusable workflow.
    (GITHUB, {"job_workflow_ref": "octo-org/ci/.github/workflows/deploy.yml@refs/heads/main"}),
    # Organizations choose what their subjects have: these may be those of any repository.
    (GITHUB, {"sub": "environment:production"}),
    (GITHUB, {"sub": "ref:refs/heads/main"}),
    (GITHUB, {"sub": "job_workflow_ref:octo-org/ci/.github/workflows/x.yml@refs/heads/main"}),
    (GITHUB, {"sub": "repo:octo-org"}),
    (GITHUB, {"sub": "repo:octo-org/octo-repo"}),
    (GITHUB, {"sub": "repo:octo-org/octo-repo:"}),
    (GITHUB, {"sub": "repo:/octo-repo:ref:x"}),
    (GITHUB, {"project_id": "1"}),
    ({"issuer": f"{issuers.GITHUB}/octo-enterprise"}, {"ref": "refs/heads/main"}),
    ({"issuer": "https://ghe.example.com/_services/token"}, {"ref": "refs/heads/main"}),
    ({"issuer": "https://token.actions.octo.ghe.com"}, {"ref": "refs/heads/main"}),
    (GITLAB, {"ref": "main", "ref_protected": "true"}),
    (GITLAB, {"project_path": "group/app"}),
    (GITLAB, {"user_login": "root"}),
    (GITLAB, {"sub": "ref:main"}),
    (OTHER, {"ref": "main"}),
    ({"preset": "github"}, {"repository_owner_id": "1"}),
    ({"preset": "gitlab"}, {"namespace_id": "1"}),
]


@pytest.mark.parametrize(("where", "claims", "pin"), PINNED, ids=str)
def test_one_claim_says_whose_workload_it_is(
    where: dict[str, str], claims: dict[str, Any], pin: str
) -> None:
    assert trust(claims, **where).pin == pin


@pytest.mark.parametrize(("where", "claims"), UNPINNED, ids=str)
def test_a_trust_that_would_let_others_in_is_refused(
    where: dict[str, str], claims: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        trust(claims, **where)


@pytest.mark.parametrize(
    "fields",
    [
        {"claims": {}},
        {"claims": {"repository_id": "*"}},
        {"claims": {"repository_id": "1", "sub": "repo:octo-org/*"}},
        {"claims": {"repository_id": "1", "aud": "x"}},
        {"claims": {"repository_id": "1", "iss": "x"}},
        {"claims": {"repository_id": "1", "exp": 1}},
        {"claims": {"repository_id": 1.5}},
        {"claims": {"repository_id": -1}},
        {"claims": {"repository_id": None}},
        {"claims": {"repository_id": ["1"]}},
        {"claims": {"repository_id": ""}},
        {"claims": {"repository_id": "1", "a b": "1"}},
        {"claims": {"repository_id": "1", **{f"c{n}": "1" for n in range(10)}}},
        {"scopes": []},
        {"scopes": ["read", "read"]},
        {"scopes": ["tokens"]},
        {"scopes": ["templates"]},
        {"scopes": ["everything"]},
        {"tiers": []},
        {"tiers": ["preview", "preview"]},
        {"audience": "two words"},
        {"audience": ""},
        {"issuer": None, "preset": None},
        {"preset": "gitlab"},
        {"preset": "bitbucket"},
    ],
    ids=str,
)
def test_a_trust_that_cannot_mean_what_it_says_is_refused(fields: dict[str, Any]) -> None:
    whole = {"claims": {"repository_id": "1"}, "scopes": ["read"], **GITHUB}
    NewTrust.model_validate(whole)

    with pytest.raises(ValidationError):
        NewTrust.model_validate({**whole, **fields})


def test_claims_are_compared_as_texts() -> None:
    assert [as_text(each) for each in ("42", 42, True, False)] == ["42", "42", "true", "false"]
    others: list[object] = [None, 1.0, [], {}, ["42"]]
    assert [as_text(each) for each in others] == [None] * 5


def test_differences_name_each_claim_and_the_audience() -> None:
    record = {"claims": {"repository_id": "1", "ref": "main"}, "audience": None}
    good = {"repository_id": 1, "ref": "main", "aud": ["x", "https://here"]}

    assert differences(record, good, "https://here") == ()
    assert differences(record, {**good, "ref": "topic"}, "https://here") == ("ref",)
    assert differences(record, good, "https://there") == ("aud",)
    assert differences(record, {}, "https://here") == ("aud", "repository_id", "ref")
    assert differences({**record, "audience": "x"}, good, "https://there") == ()
