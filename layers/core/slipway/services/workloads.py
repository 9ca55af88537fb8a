"""Workloads: exchanging a token of their issuer for one of the platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slipway.access import signing
from slipway.access.oidc import verifying
from slipway.domain import ids, issuers
from slipway.domain.claims import ACCESS_SECONDS, ALGORITHMS, as_text, differences
from slipway.domain.fields import is_visible, is_writable
from slipway.domain.ids import ProjectId
from slipway.domain.workload import TokenExchange, TrustPreset, WorkloadSupport, WorkloadToken
from slipway.errors import AmbiguousTrust, FieldError, Invalid, NotFound, WorkloadRefused
from slipway.store import issuer_records, project_records, table, trust_records

_PRESETS = ("github", "gitlab")
_LONGEST_SUBJECT = 200
_MOST_NAMED = 20

Entry = dict[str, Any]


def support(base: str) -> WorkloadSupport:
    """What the tokens of issuers must be like; `base` is the platform's URL. No round trip."""
    families = map(issuers.family, _PRESETS)
    return WorkloadSupport(
        audience=base,
        exchange_url=f"{base}/api/v1/auth/oidc/exchange",
        algorithms=list(ALGORITHMS),
        presets=[
            TrustPreset.model_validate(
                {"name": each.name, "issuer": each.issuer, "requires": each.identity}
            )
            for each in families
        ],
    )


def exchange(wanted: TokenExchange, base: str) -> WorkloadToken:
    """A token of the platform for that of an issuer; `base` is the platform's URL.

    The same token may be exchanged again while it is valid, because a job of GitLab has only one.
    One round trip; three and two requests to the issuer if its keys have to be read. Raises
    WorkloadRefused, AmbiguousTrust, IssuerUnavailable, Invalid.
    """
    project = _project(wanted.project_id)
    header, claims = verifying.unverified(wanted.token)
    issuer: str = claims["iss"]
    queries = trust_records.queries(claims, project)
    if not queries:
        raise WorkloadRefused()
    [record], pages = table.read([issuer_records.key(issuer)], *queries)
    entries, has_more = trust_records.entries(pages)
    # Nothing is asked of an issuer that no trust names.
    if not entries:
        raise WorkloadRefused()
    verifying.verify(wanted.token, header, issuer, record)
    verifying.require_valid_now(claims)
    entry = _chosen(entries, claims, base, has_more=has_more)
    return WorkloadToken(
        access_token=signing.mint_for_workload(entry["trust_id"], _subject(claims), ACCESS_SECONDS),
        expires_in=ACCESS_SECONDS,
        project_id=entry["project_id"],
        trust_id=entry["trust_id"],
    )


def _project(text: str | None) -> ProjectId | None:
    """Raises Invalid."""
    try:
        return None if text is None else ids.parse_project(text)
    except NotFound:
        raise Invalid([FieldError("#/project_id", "is not the id of a project")]) from None


def _chosen(entries: list[Entry], claims: Mapping[str, Any], base: str, *, has_more: bool) -> Entry:
    """The trust of these that the token matches, the one with the most claims in its project.

    Raises WorkloadRefused, AmbiguousTrust.
    """
    matching = [each for each in entries if not differences(each, claims, base)]
    if not matching and not has_more:
        raise _mismatch(entries, claims, base)
    projects = {each["project_id"] for each in matching}
    if has_more or len(projects) > 1:
        projects = _living(matching)
        matching = [each for each in matching if each["project_id"] in projects]
        if has_more or len(projects) > 1:
            raise AmbiguousTrust(sorted(projects)[:_MOST_NAMED])
        if not matching:
            raise WorkloadRefused()
    return max(matching, key=lambda each: (len(each["claims"]), each["trust_id"]))


def _mismatch(entries: Iterable[Entry], claims: Mapping[str, Any], base: str) -> WorkloadRefused:
    """The refusal for a valid token, which says by what it misses the trust closest to it."""
    closest = min(entries, key=lambda each: len(differences(each, claims, base)))
    wrong = differences(closest, claims, base)
    hint = ""
    if "aud" in wrong and not closest.get("audience"):
        hint = f" Ask for a token with the audience {base}."
    return WorkloadRefused(
        f"The token is valid, but not what a project trusts: {', '.join(wrong)} differs.{hint} "
        "Compare the token's claims with the trust.",
        claims=list(wrong),
    )


def _living(entries: list[Entry]) -> set[str]:
    """The ids of the projects that still exist. What is left of the others is deleted.

    One round trip, and one for each trust of a project that is gone.
    """
    known = sorted({each["project_id"] for each in entries})
    found = table.get(*(project_records.key(ids.parse_project(each)) for each in known))
    living = {each for each, record in zip(known, found, strict=True) if record}
    for each in known:
        if each not in living:
            trust_records.forget(ids.parse_project(each))
    return living


def _subject(claims: Mapping[str, Any]) -> str:
    """The workload's name, for people to read."""
    text = as_text(claims.get("sub")) or ""
    if not (text and is_writable(text) and is_visible(text) and text.isprintable()):
        return str(claims["iss"])
    return text[:_LONGEST_SUBJECT]
