"""The audit as the API shows it: its entries, and whether its chain is whole."""

from __future__ import annotations

import json
from typing import Any

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.audit import (
    AuditEntry,
    AuditQuery,
    AuditVerification,
    PlatformAuditQuery,
    VerifyQuery,
)
from slipway.domain.audit_chain import Broken, Position, check_end, check_links
from slipway.domain.ids import ProjectId
from slipway.domain.paging import Page, Paging, bad_cursor
from slipway.errors import FieldError, Invalid
from slipway.store import audit_records as records
from slipway.store import table
from slipway.store.audit_keys import (
    ENTRY,
    LINK,
    PLATFORM,
    entry_key,
    head_key,
    is_place,
    link_key,
    place_in,
    place_of,
)
from slipway.store.audit_records import Filter, Found
from slipway.store.table import Item, Key, Query

# A chain grows while it is read, and the reads of a round trip are no snapshot.
_TRIES = 3
_FETCHED = 100


def of_project(project: ProjectId, principal: Principal, query: AuditQuery) -> Page[AuditEntry]:
    """A page of the project's audit, newest first; one round trip.

    Raises NotFound, Forbidden, and Invalid for a cursor of another list.
    """
    keys = authorization.keys(project, principal)
    found, page = _read(keys, project.p, query)
    authorization.authorized(project, principal, found)
    return _shown(page)


def of_platform(principal: Principal, query: PlatformAuditQuery) -> Page[AuditEntry]:
    """A page of the platform's audit, or of a project's that may be deleted; one round trip.

    Raises Forbidden, NotFound for a malformed id, and Invalid for a cursor of another list.
    """
    audit = ids.parse_project(query.project_id).p if query.project_id else PLATFORM
    [account], page = _read((authorization.account(principal),), audit, query)
    authorization.require_administrator(account)
    return _shown(page)


def verify_project(
    project: ProjectId, principal: Principal, query: VerifyQuery
) -> AuditVerification:
    """Whether the project's chain is whole. Raises NotFound, Forbidden, Invalid.

    Two round trips at most for 500 links, more if entries are not near their links.
    """
    return _verify(
        authorization.keys(project, principal),
        project.p,
        query,
        lambda found: authorization.authorized(project, principal, found),
    )


def verify_platform(principal: Principal, query: VerifyQuery) -> AuditVerification:
    """Whether the platform's chain is whole. Raises Forbidden, Invalid. Costs as verify_project."""
    return _verify(
        (authorization.account(principal),),
        PLATFORM,
        query,
        lambda found: authorization.require_administrator(found[0]),
    )


# --- lists ------------------------------------------------------------------------------------


def _read(keys: tuple[Key, ...], audit: str, query: AuditQuery) -> tuple[list[Any], Found]:
    if query.since and query.until and query.since >= query.until:
        raise Invalid([FieldError("?until", "must be later than since")])
    after = query.after
    if after is not None and not is_place(after):
        raise bad_cursor()
    actor = query.actor
    if actor and "@" in actor:
        actor = actor.lower()
    wanted = Filter(actor, query.action, query.target, query.since, query.until)
    return records.read_page(keys, audit, wanted, query.limit, after)


def _shown(found: Found) -> Page[AuditEntry]:
    entries = [
        to_model(each, linked=place_of(each) not in found.unlinked) for each in found.entries
    ]
    return Page(entries, found.last)


def to_model(entry: Item, *, linked: bool) -> AuditEntry:
    """The entry as the API shows it."""
    actor = {"id": entry.get("actor"), "kind": entry["kind"], "name": entry.get("name")}
    target = {"id": entry.get("target"), "name": entry.get("target_name")}
    return AuditEntry.model_validate(
        {
            **entry,
            "actor": actor,
            "target": target,
            "before": _decoded(entry.get("before")),
            "after": _decoded(entry.get("after")),
            "linked": linked,
        }
    )


def _decoded(text: str | None) -> Any:
    return json.loads(text) if text else None


# --- the chain --------------------------------------------------------------------------------


def _verify(keys: tuple[Key, ...], audit: str, query: Paging, authorize: Any) -> AuditVerification:
    start = _position(query)
    for _ in range(_TRIES):
        at, broken, waiting, more = _check(keys, audit, start, query.limit, authorize)
        if broken is None:
            break
    return AuditVerification.model_validate(
        {
            "ok": broken is None,
            "entries": at.sequence,
            "unlinked": waiting,
            "broken_at": broken and broken.sequence,
            "reason": broken and broken.reason,
            "next": Page([], str(at)).cursor if more and not broken else None,
            "head": at.hash,
        }
    )


def _position(query: Paging) -> Position:
    """Raises Invalid."""
    text = query.after
    if text is None:
        return Position()
    try:
        at = Position.parse(text)
    except ValueError:
        raise bad_cursor() from None
    if at.place and not is_place(at.place):
        raise bad_cursor()
    return at


def _check(
    keys: tuple[Key, ...], audit: str, start: Position, limit: int, authorize: Any
) -> tuple[Position, Broken | None, int, bool]:
    """Check a page of links: how far they are whole, where they are broken, how many entries wait,
    and whether there is more to check."""
    (*found, head), [(links, more_links), (entries, more_entries), (waiting, many_wait)] = (
        table.read(
            (*keys, head_key(audit)),
            Query(
                f"CHAIN#{audit}",
                LINK,
                limit,
                link_key(audit, start.sequence).sk if start.sequence else None,
            ),
            Query(
                f"AUDIT#{audit}",
                ENTRY,
                limit,
                ENTRY + start.place if start.place else None,
            ),
            Query(f"UNLINKED#{audit}", ENTRY, records.WAITING_PAGE),
        )
    )
    authorize(found)
    read: dict[str, Any] = {place_in(each): each for each in entries}
    away = [link["entry"] for link in links if link["entry"] not in read][:_FETCHED]
    fetched = table.get(*(entry_key(audit, place) for place in away))
    at, broken = check_links(audit, start, links, {**read, **dict(zip(away, fetched, strict=True))})
    last = place_in(entries[-1]) if entries else start.place
    at = at._replace(place=last, counted=start.counted + len(entries))
    unchecked = bool(links) and at.sequence < links[-1]["sequence"]
    more = bool(more_links or more_entries or unchecked)
    if broken is None and not more and not many_wait:
        known = {link["entry"] for link in links} | {place_in(each) for each in waiting}
        extra = [place for place in read if place not in known]
        broken = check_end(at, head, len(waiting), extra)
    return at, broken, len(waiting), more
