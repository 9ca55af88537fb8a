"""How the package reads and writes the table. slipway.store lists the keys.

Every write has a condition on the item that it expects. Only this module translates DynamoDB's
errors:

    ConditionalCheckFailed          ConditionFailed, with the item that was there
    TransactionCanceled             TransactionFailed, with the parts whose conditions failed;
                                    Busy if other transactions kept writing the same items
    throttling, time-outs, 5xx      StoreUnavailable
    invalid requests                DynamoDBError, because they are bugs
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from slipway.aws import dynamodb
from slipway.aws.dynamodb import DynamoDBError
from slipway.domain.paging import Paging, bad_cursor
from slipway.errors import Busy, StoreUnavailable
from slipway.settings import settings
from slipway.store import audit, lifetimes, naming, rates, sessions
from slipway.store.actions import (
    VERBS,
    page_of,
    query_request,
    write_request,
)

# Re-exported, because modules that write use them together with this one.
from slipway.store.actions import Action as Action
from slipway.store.actions import Check as Check
from slipway.store.actions import Delete as Delete
from slipway.store.actions import Fields as Fields
from slipway.store.actions import Key as Key
from slipway.store.actions import Put as Put
from slipway.store.actions import Query as Query
from slipway.store.actions import Update as Update
from slipway.store.actions import setting as setting
from slipway.store.failures import ConditionFailed as ConditionFailed
from slipway.store.failures import TransactionFailed as TransactionFailed
from slipway.store.wire import decode

Item = dict[str, Any]

Found = tuple[list[Any], str | None]
"""The items of a page, and the sort key after which the next page begins, None at the end.

Items have no type here. The caller knows which type of slipway.domain.records they have.
"""

# Fifty transactions of 10 ms on one item take half a second one by one. These tries last longer.
_CONFLICT_TRIES = 12
_BATCH_TRIES = 5


@dataclass
class Transaction:
    """Conditional writes, all or none of which happen. Each part has a name.

    transaction = Transaction()
    transaction.check("member", project_records.member(project, user_id))
    transaction.put("record", key, item)
    transaction.commit()
    """

    parts: dict[str, Action] = field(default_factory=dict)

    def add(self, part: str, action: Action) -> Self:
        """Add an action. Raises ValueError if the transaction already has a part with this name."""
        if part in self.parts:
            raise ValueError(f"The transaction already has a part named {part}")
        self.parts[part] = action
        return self

    def put(
        self,
        part: str,
        key: Key,
        item: Mapping[str, Any],
        condition: str | None = "attribute_not_exists(pk)",
    ) -> Self:
        return self.add(part, Put(key, item, condition))

    def update(
        self,
        part: str,
        key: Key,
        change: str,
        values: Mapping[str, Any],
        condition: str = "attribute_exists(pk)",
    ) -> Self:
        return self.add(part, Update(key, change, values, condition))

    def delete(
        self,
        part: str,
        key: Key,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Self:
        return self.add(part, Delete(key, condition, values))

    def check(
        self,
        part: str,
        key: Key,
        condition: str = "attribute_exists(pk)",
        values: Mapping[str, Any] | None = None,
    ) -> Self:
        return self.add(part, Check(key, condition, values))

    def commit(self) -> None:
        """Write all parts; one round trip, and one for each conflict with another transaction.

        One round trip more if nothing has checked the session of the current request yet, and a
        transaction cannot, or if it carries the request's audit entry, which names the caller.
        Raises TransactionFailed, and Busy after too many conflicts. Raises Unauthenticated if the
        session has ended.
        """
        session = sessions.unchecked()
        if session and (audit.current() or not session.checked_by_writes):
            check_session()
        if session and not session.checked_by_writes:
            session = None
        entry, along = _audit_entry(self.parts), sessions.along()
        parts = {**self.parts, **entry, **(session.checks() if session else {}), **along}
        request = [{VERBS[type(action)]: write_request(action)} for action in parts.values()]
        try:
            _write("TransactWriteItems", {"TransactItems": request})
        except _Canceled as canceled:
            named = zip(parts, canceled.found, strict=True)
            failed = {part: found for part, found in named if found is not None}
            audit.see({parts[part].key: found for part, found in failed.items()})
            if session:
                _require_session(session, failed)
            sessions.require_along(failed)
            raise TransactionFailed(failed) from None
        sessions.went_along()
        sessions.is_checked()
        if entry:
            audit.finish()


def _audit_entry(parts: Mapping[str, Action]) -> Mapping[str, Action]:
    """The parts that add the current request's audit entry; none if nothing is audited."""
    auditing = audit.current()
    if auditing is None:
        return {}
    # Imported here, because most requests change nothing.
    from slipway.store import audit_entries

    return audit_entries.parts(auditing, parts)


def _require_session(session: sessions.Session, failed: dict[str, Any]) -> None:
    """Raises Unauthenticated if the transaction failed because the session has ended."""
    of_session = {part: failed.pop(part) for part in session.checks() if part in failed}
    session.has_ended(of_session)
    sessions.is_checked()


def read(keys: Sequence[Key], *queries: Query) -> tuple[list[Any], list[Found]]:
    """The items at the keys, None where there is none, and a page for each query.

    An item whose `ttl` is over is no longer there, whether TTL has deleted it or not. Strongly
    consistent, but not a snapshot: the reads run in parallel. One round trip in all. Raises
    Unauthenticated if the session of the current request has ended, TooManyRequests if its caller
    has sent too many, and GuessWrong if a name in its path leads elsewhere.
    """
    session = sessions.unchecked()
    of_session = session.keys() if session else []
    guesses = naming.pending()
    named, by_name = naming.reads(guesses) if guesses else ((), ())
    queries = (*queries, *by_name)
    # DynamoDB refuses a key that is given twice.
    wanted = list(dict.fromkeys([*keys, *of_session, *named]))
    calls = [("Query", query_request(query)) for query in queries]
    if wanted:
        request = {"Keys": [key.wire() for key in wanted], "ConsistentRead": True}
        calls.append(("BatchGetItem", {"RequestItems": {settings().table: request}}))
    answers = _together(*calls)
    items = _items(answers.pop()) if wanted else {}
    if session:
        session.verify({key: items.get(key) for key in of_session})
        sessions.is_checked()
        if not session.is_proven:
            rates.begin_late(session.user_id)
    if allowance := rates.current():
        allowance.require()
    audit.see(items)
    pages = [page_of(*each) for each in zip(queries, answers, strict=True)]
    if guesses:
        naming.verify(guesses, items, pages[len(pages) - len(by_name) :])
    return [items.get(key) for key in keys], pages[: len(pages) - len(by_name)]


def get(*keys: Key) -> list[Any]:
    """The items at the keys, None where there is none; strongly consistent, one round trip."""
    return read(keys)[0] if keys else []


def check_session() -> None:
    """Raises Unauthenticated if the session of the current request has ended.

    One round trip, none if an earlier one has checked it.
    """
    if sessions.unchecked():
        read(())


def query(
    pk: str, prefix: str, *, limit: int, after: str | None = None, newest_first: bool = False
) -> Found:
    """A page of the items whose sort key begins with `prefix`; strongly consistent, one round trip.

    Returns the items, and the sort key after which the next page begins, None at the end.
    """
    return read((), Query(pk, prefix, limit, after, newest_first))[1][0]


def every(wanted: Query, first: Found | None = None) -> Iterator[Any]:
    """All items of the query; `first` is its first page. One round trip for each further page."""
    items, after = first or read((), wanted)[1][0]
    while True:
        yield from items
        if after is None:
            return
        items, after = read((), wanted._replace(after=after))[1][0]


def listing(pk: str, prefix: str, paging: Paging, *, newest_first: bool = True) -> Query:
    """The query for the requested page of a list. Raises Invalid for another list's cursor.

    It reads one item more than the page has, which says whether there is a next page.
    """
    after = paging.after
    if after is not None and not after.startswith(prefix):
        raise bad_cursor()
    return Query(pk, prefix, paging.limit + 1, after, newest_first, shown=paging.limit)


def page(
    keys: Sequence[Key], pk: str, prefix: str, paging: Paging, *, newest_first: bool = True
) -> tuple[list[Any], list[Any], str | None]:
    """The items at the keys, and the requested page of a list; one round trip.

    Returns the items at the keys, the items of the page, and the sort key after which the next page
    begins. The keys are those of the authorization, which the caller must check before it shows the
    page. Raises Invalid for another list's cursor.
    """
    found, [(items, last)] = read(keys, listing(pk, prefix, paging, newest_first=newest_first))
    return found, items, last


def _items(answer: Mapping[str, Any]) -> dict[Key, Item]:
    """The items of a BatchGetItem. Keys that it left unprocessed are requested again."""
    found: dict[Key, Item] = {}
    for attempt in range(_BATCH_TRIES):
        for raw in answer["Responses"].get(settings().table, []):
            item = decode(raw)
            if not lifetimes.is_over(item):
                found[Key(item["pk"], item["sk"])] = item
        left = answer.get("UnprocessedKeys")
        if not left:
            return found
        if attempt < _BATCH_TRIES - 1:
            # Jitter needs no secure randomness.
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # nosec B311
            [answer] = _together(("BatchGetItem", {"RequestItems": left}))
    raise StoreUnavailable("The table is throttled. Try again after Retry-After.")


def query_index(index: str, value: str, until: str, limit: int | None = None) -> Iterator[Key]:
    """The keys of the records with `<index> = value` and `<index>_at <= until` in a sparse index.

    `limit` is the size of a page; one round trip for each page. Eventually consistent, so read each
    record before acting on it.
    """
    request: dict[str, Any] = {
        "TableName": settings().table,
        "IndexName": index,
        "KeyConditionExpression": "#value = :value AND #at <= :until",
        "ExpressionAttributeNames": {"#value": index, "#at": f"{index}_at"},
        "ExpressionAttributeValues": {":value": {"S": value}, ":until": {"S": until}},
    }
    if limit:
        request["Limit"] = limit
    while True:
        [answer] = _together(("Query", request))
        for raw in answer["Items"]:
            yield Key(raw["pk"]["S"], raw["sk"]["S"])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def write(action: Put | Update | Delete, *, aside: bool = False) -> Any:
    """One conditional write; one round trip, and one for each conflict with a transaction.

    `aside`: it is not what the current request asks for, so it carries no audit entry. Returns the
    new item, empty for a Delete, and for an Update that carries an entry: it is a transaction then.
    Raises ConditionFailed, and Busy after too many conflicts. Checks the session of the current
    request first, if no round trip has done so.
    """
    check_session()
    if sessions.along():
        return _write_along(action)
    if not aside and audit.current():
        Transaction({"record": action}).commit()
        return action.item if isinstance(action, Put) else {}
    request = write_request(action)
    if isinstance(action, Update):
        request["ReturnValues"] = "ALL_NEW"
    answer = _write(f"{VERBS[type(action)]}Item", request)
    if isinstance(action, Put):
        return action.item
    return decode(answer["Attributes"]) if isinstance(action, Update) else {}


def write_aside(update: Update) -> Item:
    """An update that is no part of what the current request asks for: neither its session is
    checked nor anything audited. Returns the new item; one round trip. Raises StoreUnavailable."""
    request = {**write_request(update), "ReturnValues": "ALL_NEW"}
    [answer] = _together(("UpdateItem", request))
    return decode(answer["Attributes"])


def _write_along(action: Put | Update | Delete) -> Any:
    """`write`, together with what goes along with the request's first write. One read more."""
    Transaction({"record": action}).commit()
    return get(action.key)[0] if isinstance(action, Update) else getattr(action, "item", {})


def write_at_once(
    writes: Sequence[Put | Update | Delete],
    *keys: Key,
    change: Mapping[str, Action] | None = None,
) -> list[Any]:
    """Independent writes, and the items at the keys, all sent at the same time: one round trip.

    `change` are the parts of a transaction that is sent along, with the request's audit entry; the
    conditions of its parts must be true. Raises ConditionFailed if the condition of a write was
    false; the others may be carried out.
    """
    _require_names()
    calls = [(f"{VERBS[type(action)]}Item", write_request(action)) for action in writes]
    if change is not None:
        parts = {**change, **_audit_entry(change)}.values()
        carried = [{VERBS[type(action)]: write_request(action)} for action in parts]
        calls.append(("TransactWriteItems", {"TransactItems": carried}))
    if keys:
        request = {"Keys": [key.wire() for key in keys], "ConsistentRead": True}
        calls.append(("BatchGetItem", {"RequestItems": {settings().table: request}}))
    answers = _together(*calls)
    if change is not None:
        audit.finish()
    items = _items(answers.pop()) if keys else {}
    return [items.get(key) for key in keys]


def _require_names() -> None:
    """Raises GuessWrong if a name in the path leads elsewhere than it was taken to."""
    if naming.pending():
        read(())


def _together(*calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers; sent along is the lease of the current request's caller, if it takes one."""
    allowance = rates.current()
    if note := sessions.note():
        if allowance and allowance.asks:
            allowance.postpone()
        try:
            return dynamodb.together(*calls, aside=("UpdateItem", write_request(note)))[:-1]
        except DynamoDBError as error:
            raise _translated(error) from error
    takes_lease = allowance is not None and allowance.asks
    lease: dict[str, Any] = {}
    try:
        if not (allowance and takes_lease):
            return dynamodb.together(*calls)
        request = {**write_request(allowance.lease()), "ReturnValues": "UPDATED_NEW"}
        *answers, lease = dynamodb.together(*calls, aside=("UpdateItem", request))
    except DynamoDBError as error:
        lease = error.aside
        raise _translated(error) from error
    finally:
        if allowance and takes_lease:
            allowance.leases(decode(lease.get("Attributes", {})) or None)
    return answers


def _write(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    _require_names()
    for attempt in range(_CONFLICT_TRIES):
        try:
            return _together((operation, request))[0]
        except Busy:
            # Jitter needs no secure randomness.
            time.sleep(random.uniform(0, min(0.4, 0.02 * 2**attempt)))  # nosec B311
    raise Busy(1)


# Errors of invalid requests: they are bugs, so they are not reported as StoreUnavailable.
_BUGS = {
    "AccessDeniedException",
    "IdempotentParameterMismatchException",
    "ResourceNotFoundException",
    "SerializationException",
    "UnknownOperationException",
    "ValidationException",
}


class _Canceled(Exception):
    """The item that each action of a canceled transaction found, None if its condition was true."""

    def __init__(self, found: Sequence[Item | None]) -> None:
        super().__init__()
        self.found = found


def _translated(error: DynamoDBError) -> Exception:
    if error.code == "ConditionalCheckFailedException":
        return ConditionFailed(decode(error.answer.get("Item") or {}))
    if error.code == "TransactionConflictException":
        return Busy(1)
    if error.code == "TransactionCanceledException":
        reasons = error.answer.get("CancellationReasons") or []
        codes = {reason.get("Code") for reason in reasons}
        if "TransactionConflict" in codes:
            return Busy(1)
        if "ConditionalCheckFailed" in codes:
            return _Canceled(
                [
                    decode(reason.get("Item") or {})
                    if reason.get("Code") == "ConditionalCheckFailed"
                    else None
                    for reason in reasons
                ]
            )
        if "ValidationError" in codes:
            return error
    return error if error.code in _BUGS else StoreUnavailable(str(error))
