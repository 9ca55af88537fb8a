"""What a rollback goes back to, and what it makes of the environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.access import authorization
from slipway.access.principal import Principal
from slipway.aws import secret_inputs
from slipway.domain import ids, rollback, timestamps
from slipway.domain.environment import MASK, TAKES_DEPLOYMENTS
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import changed
from slipway.domain.update import InputChange
from slipway.errors import EnvironmentNotReady, FieldError, Invalid, NotFound
from slipway.errors.rollbacks import NothingToRollBackTo
from slipway.services import fitting, rollout_queue, updates
from slipway.services.quotas import Claim
from slipway.store import (
    deployment_records,
    environment_records,
    queue_records,
    table,
    template_records,
)
from slipway.store.table import Query

if TYPE_CHECKING:
    from slipway.domain.configuration import Content, Levels
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord, SnapshotRecord
    from slipway.domain.template import TemplateVersion

# As many of the newest deployments as usually have the target among them.
_LIKELY = 20
_STATE = ("template", "inputs", "secret_inputs")


class Seen(NamedTuple):
    """The environment, the deployment that rolls out, and deployments by their ids."""

    record: EnvironmentRecord
    holder: str | None
    known: dict[str, DeploymentRecord | None]
    claim: Claim

    def fetch(self, *wanted: str | None) -> None:
        """Read those that are not known yet. At most one round trip."""
        missing = [each for each in wanted if each and each not in self.known]
        found = table.get(*(deployment_records.key(ids.parse_deployment(n)) for n in missing))
        self.known.update(zip(missing, found, strict=True))


class Draft(NamedTuple):
    """The environment after a rollback to `target`. `configured` has its levels as they are, and
    the content of the target's configuration; None if neither has any."""

    target: DeploymentRecord
    state: SnapshotRecord
    version: TemplateVersion | None
    would_be: EnvironmentRecord
    configured: tuple[Levels, Content] | None


# --- what to go back to -----------------------------------------------------------------------


def look(environment: EnvironmentId, principal: Principal) -> Seen:
    """One round trip. Raises NotFound, EnvironmentNotReady."""
    claim = rollout_queue.claim_for(environment, principal)
    newest = Query(f"ENV#{environment.e}", deployment_records.PREFIX, _LIKELY, newest_first=True)
    keys = (*authorization.keys(environment, principal), queue_records.lock(environment))
    (*found, held), [(items, _), *slots] = table.read(keys, newest, *claim.queries)
    record = authorization.authorized(environment, principal, found)
    status = environment_records.to_model(record).as_seen_at(timestamps.now()).status
    if status not in TAKES_DEPLOYMENTS:
        raise EnvironmentNotReady(status)
    claim.see(slots)
    holder = held.get("holder") if held else None
    return Seen(record, holder, {item["id"]: item for item in items}, claim)


def choose(environment: EnvironmentId, seen: Seen, to: str | None) -> str:
    """The target's id. Raises Invalid, NotFound, NothingToRollBackTo.

    At most one round trip.
    """
    record = seen.record
    history = record.get("live_history", [])
    stays_live = bool(seen.holder or "live_in_doubt" in record)
    possible = rollback.eligible(history)
    if stays_live and history:
        possible = [history[0]["id"], *possible]
    if to:
        _require_possible(environment, seen, to, possible)
        return to
    if last := _last_rollback(seen):
        return str(last["rolls_back_to"])
    found = rollback.target(history, stays_live=stays_live)
    if found is None:
        raise NothingToRollBackTo("Nothing was live before what is live now", possible)
    return found


def _require_possible(environment: EnvironmentId, seen: Seen, to: str, possible: list[str]) -> None:
    """Raises Invalid, NotFound, NothingToRollBackTo."""
    try:
        named = ids.parse_deployment(to)
    except NotFound:
        raise Invalid([FieldError("#/to", "must be the id of a deployment")]) from None
    if named.environment != environment:
        raise Invalid([FieldError("#/to", "is a deployment of another environment")])
    if to in possible:
        return
    seen.fetch(to)
    item = seen.known[to]
    if item is None:
        raise NotFound("There is no such deployment.")
    if item["status"] == "succeeded":
        live = any(each["id"] == to for each in seen.record.get("live_history", ()))
        why = "is what is live" if live else "is not among the last ten that were live"
        raise NothingToRollBackTo(f"{to} {why}", possible)
    raise NothingToRollBackTo(f"{to} is {item['status']}: it was never live", possible)


def _last_rollback(seen: Seen) -> DeploymentRecord | None:
    """The last rollback, if it has not ended. At most one round trip."""
    if "hold" not in seen.record:
        return None
    last = seen.record["hold"]["deployment_id"]
    seen.fetch(last)
    item = seen.known[last]
    return item if item and not item.get("finished_at") else None


def under_way(seen: Seen, chosen: str) -> DeploymentRecord | None:
    last = _last_rollback(seen)
    stopping = last and "cancel_requested_at" in last
    return last if last and not stopping and last["rolls_back_to"] == chosen else None


# --- what it makes of the environment ---------------------------------------------------------


def draft_of(environment: EnvironmentId, seen: Seen, chosen: str) -> Draft:
    """Raises NothingToRollBackTo if the target no longer fits the environment."""
    seen.fetch(chosen)
    target, record = seen.known[chosen], seen.record
    if not (target and "snapshot" in target):
        raise _unfit(seen, chosen, "its state is no longer kept")
    state = target["snapshot"]
    live = {f"live_{name}": target.get(name) for name in ("version", "artifact")}
    would_be, version = changed(record, live), None
    try:
        if "template" in state:
            version = template_records.version_of(state["template"])
            if state["template"] != record.get("template"):
                template_records.require_allowed(version)
            would_be = changed(would_be, updates.state_fields(version, state))
            _require_fit(would_be)
    except (Invalid, NotFound) as error:
        raise _unfit(seen, chosen, error.detail) from None
    number = number_of(target)
    configured = None
    if number or record.get("configuration"):
        configured = _configured(environment, record, number)
        if configured is None:
            raise _unfit(seen, chosen, f"its configuration {number} is no longer kept")
        if gone := _gone(*configured):
            raise _unfit(seen, chosen, f"values are no longer kept, of {', '.join(gone)}")
    return Draft(target, state, version, would_be, configured)


def _unfit(seen: Seen, chosen: str, why: str) -> NothingToRollBackTo:
    others = rollback.eligible(seen.record.get("live_history", []))
    left = [each for each in others if each != chosen]
    return NothingToRollBackTo(f"{chosen} cannot be live again: {why.rstrip('.')}", left)


def _require_fit(would_be: EnvironmentRecord) -> None:
    """Raises Invalid unless the template takes the version, the artifact and the names."""
    release = {name: would_be.get(f"live_{name}") for name in ("version", "artifact")}
    if release["version"]:
        fitting.require_release(would_be, release)
    project_name = None
    if fitting.takes(would_be, "ProjectName"):
        project_name = environment_records.with_project_name(would_be).get("project_name")
    fitting.require_state(would_be, project_name)


def number_of(target: DeploymentRecord) -> int:
    """The number of the target's configuration."""
    state = target["snapshot"]
    return int(state.get("configuration") or target.get("configuration") or 0)


def _configured(
    environment: EnvironmentId, record: EnvironmentRecord, number: int
) -> tuple[Levels, Content] | None:
    """None if the configuration with the number is not kept. One round trip."""
    # Imported here and below, because many environments have no configuration.
    from slipway.services import configuration

    levels, content = (
        configuration.keys(environment),
        configuration.content_keys(environment, number),
    )
    found = table.get(*levels, *content)
    if number and not any(found[len(levels) :]):
        return None
    now = configuration.levels(record, found[: len(levels)])
    return now, configuration.content(found[len(levels) :])


def _gone(levels: Levels, content: Content) -> list[str]:
    """The secrets of the content whose values are no longer kept."""
    from slipway.domain import configuration

    return configuration.gone(content, levels)


def is_reconfigured(record: EnvironmentRecord, draft: Draft) -> bool:
    """Whether the environment needs a new configuration, so that it has the target's."""
    if draft.configured is None:
        return False
    from slipway.domain import configuration

    levels, content = draft.configured
    is_newest = levels.versions() == record.get("configuration_levels", {})
    return not (is_newest and configuration.is_same(levels.merged(), content))


def changes_more(record: EnvironmentRecord, draft: Draft) -> bool:
    """Whether the rollback changes something besides the version and the artifact."""
    after = draft.would_be
    return (
        any(record.get(name) != after.get(name) for name in _STATE)
        or bool(_replaced(record, after))
        or bool(variables(draft))
    )


def _replaced(record: EnvironmentRecord, after: EnvironmentRecord) -> list[str]:
    """The secret inputs that have another value after the rollback."""
    before = secret_inputs.places(record)
    return [n for n, place in secret_inputs.places(after).items() if before.get(n) != place]


def for_a_plan(record: EnvironmentRecord, after: EnvironmentRecord) -> dict[str, Any]:
    replaced = _replaced(record, after)
    return {**environment_records.with_project_name(after), "replaced_secrets": replaced}


def inputs(record: EnvironmentRecord, after: EnvironmentRecord) -> dict[str, InputChange]:
    old, new = _shown(record), _shown(after)
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    names.update(_replaced(record, after))
    return {n: InputChange(before=old.get(n), after=new.get(n)) for n in sorted(names)}


def _shown(record: EnvironmentRecord) -> dict[str, str]:
    held = json.loads(record.get("inputs") or "{}")
    return {**held, **dict.fromkeys(record.get("secret_inputs", ()), MASK)}


def variables(draft: Draft) -> dict[str, str]:
    if draft.configured is None:
        return {}
    from slipway.domain import configuration

    levels, content = draft.configured
    return dict(configuration.differences(levels.merged(), content))
