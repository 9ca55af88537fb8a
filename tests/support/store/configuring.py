"""Variables and secrets of environments and projects, written past the API."""

from __future__ import annotations

from typing import Any

from slipway.aws import secret_values
from slipway.domain import timestamps
from slipway.domain.configuration import packed
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.records import change as record_change
from slipway.services import configuration
from slipway.store import (
    configuration_records,
    environment_records,
    project_records,
    table,
)

BY: Any = {"id": "usr_0123456789abcdefghjk", "kind": "user", "name": "Ann"}


def _changed(scope: Any, level: Any, variables: Any, secrets: Any) -> Any:
    at = timestamps.written(timestamps.now())
    after = {**level, "variables": dict(level["variables"]), "secrets": dict(level["secrets"])}
    for name, value in variables.items():
        if value is None:
            after["variables"].pop(name, None)
        else:
            after["variables"][name] = {"value": value, "at": at, "by": BY}
    for name, value in secrets.items():
        place = secret_values.new_place(scope, name)
        secret_values.write(place, value)
        after["secrets"][name] = {"version": 1, "place": place, "at": at, "by": BY}
    return after


def configure(
    environment: EnvironmentId,
    variables: dict[str, str | None] | None = None,
    secrets: dict[str, str] | None = None,
) -> int:
    """Change the environment's own level. Returns the number of its new configuration."""
    found = table.get(environment_records.key(environment), *configuration.keys(environment))
    record = found[0]
    assert record
    levels = configuration.levels(record, found[1:])
    own = _changed(environment, levels.own, variables or {}, secrets or {})
    made = configuration.new_version(record, levels, BY, "a change", own=own)
    where = environment_records.key(environment)
    at = timestamps.written(timestamps.now())
    written = {"version": record["version"] + 1, "updated_at": at}
    written["change"] = record_change("updated", BY, at, f"configuration {made.number}")
    change, values = table.setting({**made.fields, **written})
    transaction = table.Transaction().update(
        "environment", where, change, {**values, **made.values}, made.condition
    )
    for part, action in made.actions.items():
        transaction.add(part, action)
    transaction.commit()
    return made.number


def configure_project(
    project: ProjectId, variables: dict[str, str | None], secrets: dict[str, str] | None = None
) -> None:
    """Change the project's level: one write, however many environments are below it."""
    scope = (project, None)
    found = table.get(*configuration_records.project_keys(project))
    level, _ = configuration_records.of_project(found)
    after = _changed(scope, level, variables, secrets or {})
    after["version"] = level["version"] + 1
    transaction = table.Transaction().update(
        "project",
        project_records.key(project),
        "SET configurations = :now",
        {"now": {"project": after["version"]}},
    )
    for part, action in configuration_records.written(scope, level, after).items():
        transaction.add(part, action)
    transaction.commit()


def rewrite(environment: EnvironmentId, number: int, without: str) -> None:
    """Take a name out of a configuration, as a purge does."""
    keys = configuration_records.content_keys(environment, number)
    content: Any = configuration_records.content(table.get(*keys))
    for kind in ("variables", "secrets"):
        content[kind].pop(without, None)
    for key, data in zip(keys, packed(content), strict=False):
        table.write(table.Put(key, {"data": data}, condition=None))
