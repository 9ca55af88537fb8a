"""The functions of an environment, and the log groups that they write to.

They are found by the resources of its stack, which CloudFormation knows for 90 days after the
stack's end, and kept by name (slipway.store.source_records). A template can name any group for a
function. Only groups of the environment itself are read: their names begin as those of its stack do
(slipway.domain.scope).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway import aws
from slipway.aws import secret_inputs
from slipway.domain import scope
from slipway.domain.ids import parse_environment
from slipway.drivers import stacks
from slipway.errors import DriverRefused, FieldError, Invalid
from slipway.settings import settings
from slipway.store import source_records

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

# So many functions are read at once.
MOST = 10


class Source(NamedTuple):
    """A function of an environment: its logical id, its name, and its log group."""

    name: str
    function: str
    group: str


def of(
    record: EnvironmentRecord, kept: Mapping[str, Any] | None, wanted: str | None
) -> list[Source]:
    """The functions of the environment, or the one that a caller names by its logical id.

    `kept` is the item with what is known. What is not, or may have changed, takes one call, and one
    for each function that is returned. Raises Invalid if there is no such function, or if there are
    more than MOST and none is named; DriverFault.
    """
    if record["driver"] != "cloudformation" or not (kept or record.get("stack_id")):
        _chosen({}, wanted)
        return []
    state = source_records.state_of(record)
    is_known = kept and (record["status"] == "destroyed" or kept["state"] == state)
    before: dict[str, dict[str, str]] = {**kept["sources"]} if kept else {}
    found = before if is_known else {name: {"function": of} for name, of in _functions(record)}
    chosen = _chosen(found, wanted)
    without = [name for name in chosen if "group" not in found[name]]
    groups = {each["function"]: each["group"] for each in before.values() if "group" in each}
    with stacks.looking():
        found = {**found, **{name: _located(found[name]["function"], groups) for name in without}}
    if (without or not is_known) and record["status"] != "provisioning":
        source_records.keep(parse_environment(record["id"]), state, found)
    sources = [Source(name, found[name]["function"], found[name]["group"]) for name in chosen]
    own = _prefix(record)
    return [each for each in sources if each.group.removeprefix("/aws/lambda/").startswith(own)]


def _functions(record: EnvironmentRecord) -> list[tuple[str, str]]:
    """The logical ids and the names of the functions. One that is named after a secret is left out,
    because its name is masked."""
    with stacks.looking(), secret_inputs.hidden(record, also=True):
        found = stacks.functions(record["stack_id"])
    return [(name, function) for name, function in found if function.startswith(_prefix(record))]


def _prefix(record: EnvironmentRecord) -> str:
    return f"{settings().stack}-env-{scope.of(record['id'])}"


def _chosen(found: Mapping[str, Any], wanted: str | None) -> list[str]:
    names = ", ".join(sorted(found)[:50])
    if wanted is not None and wanted not in found:
        has = f"it has {names}" if found else "it has none"
        raise Invalid([FieldError("?source", f"is no function of this environment: {has}")])
    if wanted is None and len(found) > MOST:
        detail = f"is required, because the environment has {len(found)} functions: {names}"
        raise Invalid([FieldError("?source", detail)])
    return sorted(found) if wanted is None else [wanted]


def _located(function: str, known: Mapping[str, str]) -> dict[str, str]:
    """The function with its log group. That of a deleted one is known, or the one by default."""
    group = _group(function) or known.get(function) or _by_default(function)
    return {"function": function, "group": group}


def _group(function: str) -> str | None:
    """The log group of the function; None if the function no longer exists."""
    try:
        found = aws.call("lambda", "get_function_configuration", FunctionName=function)
    except DriverRefused as error:
        if not error.says("ResourceNotFoundException"):
            raise
        return None
    group = (found.get("LoggingConfig") or {}).get("LogGroup")
    return str(group or _by_default(function))


def _by_default(function: str) -> str:
    return f"/aws/lambda/{function}"
