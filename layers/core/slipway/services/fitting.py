"""Whether an environment's template takes what Slipway fills in: names, versions and artifacts.

An environment's record holds the constraints that its template has for them
(slipway.domain.supplied), so none of these checks reads the template.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.domain.deployment import BEFORE_THE_FIRST, BROUGHT, artifact_fault, brought
from slipway.errors import FieldError, Invalid, TemplateTakesNoVersion
from slipway.settings import settings

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord


def require_release(record: EnvironmentRecord, content: Mapping[str, Any]) -> None:
    """Raises TemplateTakesNoVersion and Invalid unless the environment takes this release.

    `content` are the fields of its record. A simulated environment takes every release, and an
    update is none. One that changes the environment as well has to fit what the environment will
    be, which the caller checks.
    """
    changes_environment = "inputs" in content or "becomes" in content
    if changes_environment or not record.get("template"):
        return
    if BROUGHT.isdisjoint(record.get("parameters", ())):
        raise TemplateTakesNoVersion(record["template"])
    artifact: str | None = content.get("artifact")
    if names := record.get("code_parameters"):
        defaults, buckets = record.get("defaults", ()), settings().artifact_buckets
        if detail := artifact_fault(artifact, names, defaults, buckets):
            raise Invalid([FieldError("#/artifact", detail)])
    if record.get("filled_in"):
        pointers = {name: "#/artifact" for name in BROUGHT} | {"Version": "#/version"}
        _require(record, brought(content.get("version"), artifact), pointers)


def require_new(record: EnvironmentRecord, project_name: str) -> None:
    """Raises Invalid unless the template takes the names of a new environment and its project, and
    what stands for a version before the first deployment.

    A fault of the environment's name has the pointer #/name, the others #/template.
    """
    if not record.get("filled_in"):
        return
    values: dict[str, str | None] = {
        "EnvironmentName": record["name"],
        "EnvironmentId": record["id"],
        "ProjectName": project_name,
    }
    values |= {n: v for n, v in BEFORE_THE_FIRST.items() if n not in record["defaults"]}
    _require(record, values, {"EnvironmentName": "#/name"})


def require_state(record: EnvironmentRecord, project_name: str | None) -> None:
    """Raises Invalid, with the pointer #/template, unless the template takes the names and the
    version that is live."""
    if not record.get("filled_in"):
        return
    values = {
        "EnvironmentName": record.get("first_name") or record["name"],
        "ProjectName": project_name,
        **brought(record.get("live_version"), record.get("live_artifact")),
    }
    _require(record, values, {})


def takes(record: EnvironmentRecord, name: str) -> bool:
    """Whether the template has constraints for the parameter `name`, which Slipway fills in."""
    return any(each["name"] == name for each in json.loads(record.get("filled_in") or "[]"))


def _require(
    record: EnvironmentRecord, values: Mapping[str, str | None], pointers: Mapping[str, str]
) -> None:
    # Imported here, because few templates constrain these parameters.
    from slipway.domain import supplied

    broken = supplied.problems(json.loads(record["filled_in"]), values)
    faults = [
        FieldError(pointers[name], f"does not fit the template: its parameter {name} {detail}")
        if name in pointers
        else FieldError("#/template", f"does not take {values[name]!r} as {name}, which {detail}")
        for name, detail in broken
    ]
    if faults:
        raise Invalid(faults)
