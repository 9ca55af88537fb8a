"""The filters of lists: what DynamoDB leaves out, and what only we can tell of a record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.domain import timestamps
from slipway.domain.environment import is_overdue
from slipway.domain.fields import normalised
from slipway.domain.rights import default_tier
from slipway.store.actions import Filter

if TYPE_CHECKING:
    from slipway.domain.deployment_lists import DeploymentListing
    from slipway.domain.environment_lists import EnvironmentListing
    from slipway.domain.listing import Listing

Keep = Callable[[Any], bool]
_Part = tuple[str, Mapping[str, Any]]


def of_environments(wanted: EnvironmentListing) -> Filter | None:
    """The condition on the items that a query for environments reads, None if it has none."""
    return _condition(wanted, _environment_filters(wanted))


def of_deployments(wanted: DeploymentListing) -> Filter | None:
    """The condition on the items that a query for deployments reads, None if it has none."""
    return _condition(wanted, _deployment_filters(wanted))


def _condition(wanted: Listing, also: list[_Part]) -> Filter | None:
    """All conditions in one; None if there are none."""
    parts, names = list(also), dict[str, str]()
    if wanted.created_by:
        made = "(created_by = :by OR made_by.#id = :by OR made_by.#name = :by)"
        parts.append((made, {"by": wanted.created_by}))
    if wanted.since:
        parts.append(("created_at >= :since", {"since": timestamps.written(wanted.since)}))
    if wanted.until:
        parts.append(("created_at < :until", {"until": timestamps.written(wanted.until)}))
    for n, (key, value) in enumerate(wanted.labels()):
        names[f"#key{n}"] = key
        parts.append((f"#labels.#key{n} = :label{n}", {f"label{n}": value}))
    if not parts:
        return None
    values = {name: value for _, each in parts for name, value in each.items()}
    return Filter(" AND ".join(condition for condition, _ in parts), values, names)


def _one_of(attribute: str, name: str, values: Collection[str]) -> tuple[str, dict[str, Any]]:
    given = {f"{name}{n}": value for n, value in enumerate(dict.fromkeys(values))}
    return f"{attribute} IN ({', '.join(f':{each}' for each in given)})", given


def _template(attribute: str, wanted: str) -> tuple[str, dict[str, Any]]:
    """`name` and `name@1` are beginnings of what a record has, `name@1.2`."""
    _, at, version = wanted.partition("@")
    if "." in version:
        return f"{attribute} = :template", {"template": wanted}
    return f"begins_with({attribute}, :template)", {"template": wanted + ("." if at else "@")}


def _environment_filters(wanted: EnvironmentListing) -> list[_Part]:
    found: list[_Part] = []
    if wanted.status:
        # Those that are shown as `expiring` may not have been recorded as that yet.
        overdue = ("provisioning", "running", "failed") if "expiring" in wanted.status else ()
        found.append(_one_of("#status", "status", [*wanted.status, *overdue]))
    if wanted.type:
        found.append(_one_of("#type", "type", wanted.type))
    if wanted.tier:
        condition, values = _one_of("#tier", "tier", wanted.tier)
        types = [each for each in ("ephemeral", "persistent") if default_tier(each) in wanted.tier]
        if types:
            by_type, of_type = _one_of("#type", "without", types)
            condition = f"({condition} OR (attribute_not_exists(#tier) AND {by_type}))"
            values |= of_type
        found.append((condition, values))
    if wanted.template:
        found.append(_template("#template", wanted.template))
    return found


def _deployment_filters(wanted: DeploymentListing) -> list[_Part]:
    found: list[_Part] = []
    if wanted.status:
        found.append(_one_of("#status", "status", wanted.status))
    if wanted.kind:
        found.append(("#kind = :kind", {"kind": wanted.kind}))
    if wanted.version:
        found.append(("#version = :version", {"version": wanted.version}))
    if wanted.type:
        found.append(_one_of("#within.#type", "type", wanted.type))
    if wanted.tier:
        found.append(_one_of("#within.#tier", "tier", wanted.tier))
    if wanted.template:
        found.append(_template("#within.#template", wanted.template))
    return found


def keeps_environment(wanted: EnvironmentListing, now: datetime) -> Keep | None:
    """What only we can tell of an environment's record; None if nothing is left to tell."""
    if not wanted.status and not wanted.name:
        return None
    begins = normalised(wanted.name or "")

    def keep(item: Any) -> bool:
        if not normalised(item["name"]).startswith(begins):
            return False
        status = "expiring" if is_overdue(item, now) else item["status"]
        return not wanted.status or status in wanted.status

    return keep


def keeps_deployment(wanted: DeploymentListing) -> Keep | None:
    """What only we can tell of a deployment's record; None if nothing is left to tell."""
    if not wanted.name:
        return None
    begins = normalised(wanted.name)
    return lambda item: normalised(item.get("within", {}).get("name", "")).startswith(begins)
