"""Template records: templates, their versions, and which environments use them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from slipway.aws import template_bodies
from slipway.domain import template as model
from slipway.domain import timestamps
from slipway.domain.deployment import BROUGHT
from slipway.domain.rights import tier_of
from slipway.domain.template import (
    Reference,
    TemplateVersion,
    Version,
)
from slipway.errors import (
    FieldError,
    Invalid,
    NotFound,
    Refused,
)
from slipway.settings import settings
from slipway.store import table
from slipway.store.table import (
    Check,
    ConditionFailed,
    Fields,
    Found,
    Key,
    Put,
    Query,
    Update,
)

if TYPE_CHECKING:
    from slipway.domain.allowances import Allowances
    from slipway.domain.records import EnvironmentRecord
    from slipway.domain.template_records import TemplateRecord, TemplateUseRecord, VersionRecord

ALL = "TEMPLATES"
TEMPLATE = "TEMPLATE#"
VERSION = "VERSION#"
USED = "USED#"
# Usually, one of this many newest versions is published.
_LIKELY = 10


def key(name: str) -> Key:
    """The key of the template's record. Raises NotFound if `name` cannot be a template's name."""
    return Key(ALL, TEMPLATE + model.named(name))


def version_key(name: str, version: Version) -> Key:
    """The key of the version's record. Raises NotFound if `name` cannot be a template's name."""
    return Key(TEMPLATE + model.named(name), f"{VERSION}{version.major:05d}.{version.minor:05d}")


def used_key(name: str, environment_id: str) -> Key:
    """The key of the record that the environment uses the template."""
    return Key(TEMPLATE + name, USED + environment_id)


@lru_cache(maxsize=64)
def version_of(reference: str) -> TemplateVersion:
    """The version with the reference `name@1.2`, as an environment's record names it.

    Cached, because a published version never changes except in its `state`, which may be out of
    date. One round trip for the first read. Raises NotFound.
    """
    name, _, number = reference.partition("@")
    return to_model(find_version(name, Version.parse(number)))


# --- the version that an environment uses -----------------------------------------------------


def query_versions(text: str) -> Query:
    """The query for the versions that `name`, `name@1` or `name@1.2` can mean, newest first.

    `resolve` takes its page. Raises Invalid.
    """
    wanted = Reference.parse(text)
    numbers = "" if wanted.major is None else f"{wanted.major:05d}."
    numbers += "" if wanted.minor is None else f"{wanted.minor:05d}"
    return Query(TEMPLATE + wanted.name, VERSION + numbers, _LIKELY, newest_first=True)


def resolve(text: str, found: Found) -> TemplateVersion:
    """The newest published version that `text` can mean, from the page of `query_versions`.

    Raises Invalid if there is none. No round trip, unless no version of the page is published.
    """
    items, after = found
    if Reference.parse(text).version and items and items[0]["state"] != "published":
        raise _unusable(f"{text} is {items[0]['state']}, not published")
    for item in items:
        if item["state"] == "published":
            return to_model(item)
    if after is None:
        raise _unusable(f"no version of {text} is published")
    next_page = query_versions(text)._replace(after=after)
    return resolve(text, table.read((), next_page)[1][0])


def allowances() -> Allowances:
    """The allowances that the stack's parameters give to templates."""
    # Imported here, because most environments have no template.
    from slipway.domain.allowances import Allowances

    found = settings()
    return Allowances(
        found.allowed_resource_types,
        found.artifact_buckets,
        found.trusted_accounts,
        found.capacity_limits,
        found.stack,
    )


def require_allowed(version: TemplateVersion) -> TemplateVersion:
    """Returns the version. Raises Invalid if it contains what templates must not contain now.

    The rules or the stack's parameters may have changed since the version was added. Then its body
    is checked again, which costs a round trip to S3. Raises DriverFault.
    """
    allowed = allowances()
    disallowed = model.not_allowed(version.resources, allowed.types)
    if disallowed:
        detail = f"has resource types that are no longer allowed: {', '.join(disallowed)}"
        raise _unusable(detail)
    if version.checked_under == allowed.digest:
        return version
    from slipway.domain import template_parser

    body = template_bodies.get(body_key(version))
    try:
        parsed = template_parser.read_stored(body)
        numbers = template_parser.check_allowed(parsed, allowed)
    except Refused as error:
        detail = f"is no longer allowed as it is; add a new version: {error.detail}"
        raise _unusable(detail) from None
    return version.model_copy(update={"reserves": numbers.as_record()})


def require_capacity(version: TemplateVersion, values: Mapping[str, str]) -> None:
    """Raises Invalid if the inputs ask for more capacity than the stack's parameters allow, or for
    code from another bucket, or if loops over them make what the template must not contain.

    No round trip, but one to S3 if a loop depends on one of the inputs; then DriverFault, too.
    """
    from slipway.domain import capacity

    if not values.keys().isdisjoint(version.looped):
        version = _with_loops(version, values)
    found, defaults = settings(), {n.name: n.default or "" for n in version.parameters}
    faults = capacity.faults(
        version.reserves, {**defaults, **values}, found.capacity_limits, found.artifact_buckets
    )
    if told := [*faults, *_broken(version, values)]:
        raise Invalid(told)


def _broken(version: TemplateVersion, values: Mapping[str, str]) -> Iterator[FieldError]:
    """A fault for each assertion in the template's Rules that the inputs break."""
    if version.rules is None:
        return
    from slipway.domain import template_assertions

    for said in template_assertions.broken(version.rules, version.parameters, values):
        yield FieldError("#/inputs", f"breaks a rule of the template: {said}")


def _with_loops(version: TemplateVersion, values: Mapping[str, str]) -> TemplateVersion:
    """The version with what it reserves if its loops depend on these inputs. Raises Invalid."""
    from slipway.domain import template_parser

    body = template_bodies.get(body_key(version))
    try:
        parsed = template_parser.read_stored(body, values)
        numbers = template_parser.check_allowed(parsed, allowances())
    except Refused as error:
        first = next(each for each in version.looped if each in values)
        detail = f"makes loops of the template break a rule: {error.detail}"
        raise Invalid([FieldError(f"#/inputs/{first}", detail)]) from None
    return version.model_copy(update={"reserves": numbers.as_record()})


def body_key(version: TemplateVersion) -> str:
    """The key of the version's body in the bucket."""
    return template_bodies.key(version.template, version.version, version.sha256)


def template_fields(version: TemplateVersion) -> Fields:
    """The fields of an environment's record that come from its template version."""
    return {
        "template": version.reference,
        "template_key": body_key(version),
        "parameters": [parameter.name for parameter in version.parameters],
        "defaults": sorted(BROUGHT & set(_defaults(version))),
        "filled_in": _filled_in(version),
        "code_parameters": sorted(version.reserves.get("buckets", ())),
    }


def _defaults(version: TemplateVersion) -> Iterator[str]:
    """The parameters with a default. An empty artifact is none."""
    for each in version.parameters:
        if each.default or (each.default is not None and not each.name.startswith("Artifact")):
            yield each.name


def _filled_in(version: TemplateVersion) -> str | None:
    # Imported here, because most environments have no template.
    from slipway.domain import supplied

    found = supplied.constraints(version.parameters)
    return json.dumps(found) if found else None


def still_published(version: TemplateVersion) -> Check:
    """The part of a transaction that fails unless the version is still published."""
    key = version_key(version.template, Version.parse(version.version))
    return Check(key, "#state = :published", {"published": "published"})


def use_put(version: TemplateVersion, environment: EnvironmentRecord) -> Put:
    """The part of a transaction that records a new environment's use of the version."""
    return Put(used_key(version.template, environment["id"]), _use(environment))


def last_use(name: str) -> Key:
    """The key of the item that has the environment which was last made of the template."""
    return Key(TEMPLATE + name, "LAST_USE")


def note_use(version: TemplateVersion, environment: EnvironmentRecord) -> Update:
    """The part of a creation at which a deletion of the template notices it."""
    key = last_use(version.template)
    return Update(key, "SET environment_id = :id", {"id": environment["id"]}, condition="")


def update_use(environment: EnvironmentRecord) -> None:
    """Update the record of the environment's use of its template; one round trip.

    Repeating it changes nothing. An older record never replaces a newer one, so the use of a
    destroyed environment is kept for a day, in case an older record still arrives.
    """
    name = environment["template"].partition("@")[0]
    fields = _use(environment)
    if environment["status"] == "destroyed":
        fields["ttl"] = timestamps.epoch(timestamps.hours_after(timestamps.now(), 24))
    expression, values = table.setting(fields)
    with suppress(ConditionFailed):
        table.write(
            Update(
                used_key(name, environment["id"]),
                expression,
                values,
                "attribute_not_exists(seen) OR seen < :seen",
            )
        )


def _use(environment: EnvironmentRecord) -> TemplateUseRecord:
    return {
        "environment_id": environment["id"],
        "project_id": environment["project_id"],
        "name": environment["name"],
        "tier": tier_of(environment),
        "version": environment["template"].partition("@")[2],
        "status": environment["status"],
        "seen": environment["version"],
    }


# --- reading and changing ---------------------------------------------------------------------


def to_model(item: Mapping[str, Any]) -> TemplateVersion:
    """The version as the API returns it."""
    return TemplateVersion.model_validate(item)


def found(item: TemplateRecord | None) -> TemplateRecord:
    """Returns the template's record. Raises NotFound if it is None."""
    if item is None:
        raise NotFound("There is no template with this name. Check the name.")
    return item


def find_version(name: str, version: Version) -> VersionRecord:
    """The version's record; one round trip. Raises NotFound."""
    item: VersionRecord | None = table.get(version_key(name, version))[0]
    if item is None:
        raise NotFound("The template has no such version. Check the number.")
    return item


def _unusable(detail: str) -> Invalid:
    return Invalid([FieldError("#/template", detail)])
