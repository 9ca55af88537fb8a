"""Audit entries: what a write changes, without secrets, and who asked for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from slipway.domain import ids, timestamps
from slipway.store import audit_keys, sessions
from slipway.store.actions import Action, Check, Delete, Put, Update
from slipway.store.audit import Auditing
from slipway.store.audit_keys import PLATFORM

Fields = dict[str, Any]

# The part of a transaction that has what the request is about, the likeliest first. What changes
# the members of a project also changes their number in the project's record.
_MAIN = ("record", "account", "token", "trust", "invitation", "listing")
_MAIN_OF_PROJECT = ("member", "was", "seat", *_MAIN)
# Items that are not shown at all: their fields are secrets, or hashes of secrets.
_SECRET = ("EMAIL#", "RESET#", "REGISTRATION#", "ATTEMPTS#", "DEVICE#", "KEYS", "IDEMPOTENCY#")
# Bookkeeping that tells nobody anything, and whatever could be a secret or its hash.
_LEFT_OUT = re.compile(
    r"pk|sk|id|version|created_at|updated_at|created_by|made_by|change|due|due_at|ttl|slots|lease"
    r"|generation|operation|warn_at|last_accepted|waiting|nudged_at|environments(_made)?|key"
    r"|(\w+_)?(hash|secret|password|digest|token)|secret_\w+|token_\w+"
)
# JSON texts of records (slipway.domain.records), shown as what they stand for.
_JSON = ("config", "inputs")
_MOST = 500
# An id that begins with a project's part, such as env_<p>_<e>.
_OF_PROJECT = re.compile(r"(?:prj|env|dep|trs|cnf|pro)_([0-9a-hjkmnp-tv-z]{20})(?:_.*)?")


def parts(auditing: Auditing, actions: Mapping[str, Action]) -> dict[str, Action]:
    """The parts that write the entry of a transaction with these actions."""
    main = _main(actions, _MAIN_OF_PROJECT if "project_id" in auditing.path else _MAIN)
    before, after = _changes(main, auditing.seen.get(main.key) if main else None)
    facts = auditing.facts
    target, name = _target(auditing, main)
    target = facts.get("target", target)
    entry = {
        **_who(facts),
        "id": f"aud_{ids.new_part()}",
        "at": timestamps.written(timestamps.now()),
        "action": facts.get("action", auditing.action),
        "target": target,
        "target_name": facts.get("name", name),
        "address": auditing.address or None,
        "user_agent": auditing.agent or None,
        "request_id": auditing.request_id,
        "before": _written(facts.get("before", before)),
        "after": _written(facts.get("after", after)),
    }
    audit = _audit(facts, [*auditing.path.values(), target or ""])
    shown = {each: value for each, value in entry.items() if value is not None}
    return {**audit_keys.puts(audit, shown)}


def _who(facts: Mapping[str, Any]) -> Fields:
    session = sessions.current()
    if session is None:
        return {
            "actor": facts.get("actor"),
            "kind": facts.get("kind", "user" if "actor" in facts else "anonymous"),
            "name": facts.get("actor_name"),
            "user_id": facts.get("user_id", facts.get("actor")),
        }
    return {
        "actor": session.author,
        "kind": session.kind,
        "name": session.name or None,
        "user_id": session.user_id,
    }


def _audit(facts: Mapping[str, Any], names: Iterable[str]) -> str:
    """The audit that the entry belongs to: of the project that an id names, or the platform's."""
    if "project" in facts:
        names = [facts["project"] or ""]
    found = (_OF_PROJECT.fullmatch(str(each)) for each in names)
    return next((each[1] for each in found if each), PLATFORM)


def _main(actions: Mapping[str, Action], likely: Iterable[str]) -> Put | Update | Delete | None:
    """The write that the request is about."""
    writes = {part: each for part, each in actions.items() if not isinstance(each, Check)}
    for part in (*likely, *writes):
        if part in writes and not writes[part].key.pk.startswith(_SECRET):
            return writes[part]
    return None


def _target(
    auditing: Auditing, main: Put | Update | Delete | None
) -> tuple[str | None, str | None]:
    """The id and the name of what is changed: of what is created, or else what the path names."""
    path = auditing.path
    item: Mapping[str, Any] = {}
    if isinstance(main, Put):
        item = main.item
    elif main:
        item = auditing.seen.get(main.key, {})
    named = "@".join(path[each] for each in ("template", "version") if each in path)
    in_path = named or next(reversed([*path.values()]), None)
    created = item.get("id") or item.get("user_id") if isinstance(main, Put) else None
    target = created or in_path or item.get("id") or item.get("user_id") or item.get("name")
    if not target and main and main.key.pk.startswith("ACCOUNT#"):
        target = f"{main.key.pk.partition('#')[2]}"
    name = item.get("name") or item.get("email") or item.get("version")
    return target and str(target), None if name is None else str(name)


# --- before and after -------------------------------------------------------------------------


def _changes(
    main: Put | Update | Delete | None, before: Mapping[str, Any] | None
) -> tuple[Fields | None, Fields | None]:
    """The fields that the write changes, before and after it; None for an item that is not there.

    The fields before are known only of what the request has read.
    """
    if main is None:
        return None, None
    if isinstance(main, Delete):
        return _shown(before or {}), None
    if isinstance(main, Put):
        written: Mapping[str, Any] = main.item
        changed = [
            name for name, value in written.items() if not before or before.get(name) != value
        ]
    else:
        written = _assigned(main)
        changed = [name for name in written if not before or before.get(name) != written[name]]
    after = _shown({name: written[name] for name in changed})
    if before is None:
        return None, after
    return _shown({name: before[name] for name in changed if name in before}), after


def _assigned(update: Update) -> Fields:
    """The attributes that an update sets to values, and those that it removes as None.

    What it computes, such as a counter, is left out.
    """
    found: Fields = {}
    for clause in re.split(r"\s*(?=\b(?:SET|REMOVE|ADD|DELETE)\b)", update.change):
        verb, _, rest = clause.strip().partition(" ")
        if verb == "SET":
            for name, value in re.findall(r"#?(\w+) = :(\w+)\s*(?=,|$)", rest):
                found[name] = update.values.get(value)
        elif verb == "REMOVE":
            found.update(dict.fromkeys(re.findall(r"\w+", rest)))
    return found


def _shown(fields: Mapping[str, Any]) -> Fields:
    return {
        name: _value(name, value)
        for name, value in sorted(fields.items())
        if not _LEFT_OUT.fullmatch(name)
    }


def _value(name: str, value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _MOST:
        return f"{text[:_MOST]}… ({len(text)} characters)"
    return json.loads(value) if name in _JSON and isinstance(value, str) and value else value


def _written(fields: Mapping[str, Any] | None) -> str | None:
    """The fields as JSON; absent if there are none."""
    if not fields:
        return None
    present = {name: value for name, value in fields.items() if value is not None}
    both = present if len(present) == len(fields) else {**fields}
    return json.dumps(both, ensure_ascii=False, sort_keys=True, default=str)
