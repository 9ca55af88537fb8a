"""Trust records: what a project trusts, and how a workload's token leads to it.

A trust is a member of its project. A second item, with the same transaction, is found by the issuer
and the claim that says whose workload it is, so an exchange needs no scan and no index. It has only
what never changes, and its sort key has a digest of that: a project cannot have a trust twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain.claims import MOST_IN_A_PROJECT, as_text
from slipway.domain.ids import ProjectId, TrustId
from slipway.domain.issuers import PINS
from slipway.store import project_records, table
from slipway.store.table import Found, Key, Query, Transaction, Update

if TYPE_CHECKING:
    from slipway.domain.records import TrustRecord

_MOST_FOUND = 100


def key(trust: TrustId) -> Key:
    """The key of the trust's record, which is also its membership."""
    return project_records.member(trust, str(trust))


def list_(project: ProjectId) -> Query:
    """The query for all trusts of the project, newest first."""
    prefix = f"MEMBER#trs_{project.p}_"
    return Query(f"PROJECT#{project.p}", prefix, MOST_IN_A_PROJECT, newest_first=True)


def entry_key(record: TrustRecord) -> Key:
    """The key of the item by which an exchange finds the trust."""
    claims: dict[str, str] = json.loads(record["claims"])
    pin = record["pin"]
    audience = record.get("audience") or ""
    digest = _hash(json.dumps([audience, sorted(claims.items())]))
    return Key(
        _found_by(record["issuer"], pin, claims[pin]), f"{_in(record['project_id'])}{digest}"
    )


def _found_by(issuer: str, pin: str, value: str) -> str:
    return f"TRUST#{_hash(json.dumps([issuer, pin, value]))}"


def _in(project_id: str) -> str:
    return f"TRUST#{project_id}#"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def queries(claims: Mapping[str, Any], project: ProjectId | None) -> list[Query]:
    """The queries for the trusts that a token with these claims may match, in one round trip.

    One for each claim that can say whose workload it is: three for GitHub and GitLab. With a
    project, for its trusts only.
    """
    pins = [(name, text) for name in PINS if (text := as_text(claims.get(name))) is not None]
    prefix = _in(str(project)) if project else "TRUST#"
    # A page that is full may have a next one.
    most = MOST_IN_A_PROJECT + 1 if project else _MOST_FOUND
    return [Query(_found_by(str(claims["iss"]), *pin), prefix, most) for pin in pins]


def entries(pages: list[Found]) -> tuple[list[dict[str, Any]], bool]:
    """The items that the queries found, and whether there are more than they return."""
    found = [{**item, "claims": json.loads(item["claims"])} for items, _ in pages for item in items]
    return found, any(last is not None for _, last in pages)


def add(transaction: Transaction, project: ProjectId, record: TrustRecord, id_: TrustId) -> None:
    """Add the trust to the transaction, which fails if the project has too many or has this one."""
    entry = {
        "trust_id": record["id"],
        "project_id": record["project_id"],
        "claims": record["claims"],
        "audience": record.get("audience"),
    }
    transaction.put("record", key(id_), record)
    transaction.put("entry", entry_key(record), entry)
    transaction.add("count", _count(project))


def _count(project: ProjectId) -> Update:
    return Update(
        project_records.key(project),
        "ADD trusts :one",
        {"one": 1, "active": "active", "most": MOST_IN_A_PROJECT},
        "attribute_exists(pk) AND #status = :active AND "
        "(attribute_not_exists(trusts) OR trusts < :most)",
    )


def remove(
    transaction: Transaction, record: TrustRecord, id_: TrustId, version: int | None = None
) -> None:
    """Delete the trust in the transaction, which fails if it is gone, or has another version."""
    if version is None:
        transaction.delete("record", key(id_), "attribute_exists(pk)")
    else:
        transaction.delete("record", key(id_), "version = :was", {"was": version})
    transaction.delete("entry", entry_key(record))
    transaction.update("count", project_records.key(id_.project), "ADD trusts :less", {"less": -1})


def forget(project: ProjectId) -> None:
    """Delete the trusts of a project that is gone: one round trip, and one for each trust."""
    _, [(items, _)] = table.read((), list_(project))
    for record in items:
        trust = Key(record["pk"], record["sk"])
        Transaction().delete("record", trust).delete("entry", entry_key(record)).commit()
