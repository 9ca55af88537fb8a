"""Templates, their versions, and which environments use them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from slipway.aws import template_bodies
from slipway.domain import template as model
from slipway.domain import timestamps
from slipway.domain.deployment import BROUGHT
from slipway.domain.records import (
    EnvironmentRecord,
    TemplateRecord,
    TemplateUseRecord,
    VersionRecord,
)
from slipway.domain.template import (
    Reference,
    TemplateVersion,
    Version,
)
from slipway.errors import (
    FieldError,
    Invalid,
    NotFound,
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
    pass

ALL = "TEMPLATES"
TEMPLATE = "TEMPLATE#"
VERSION = "VERSION#"
USED = "USED#"
# As many as most templates have had since one was published.
_LIKELY = 10


def key(name: str) -> Key:
    """Raises NotFound for what cannot be a name; as the following."""
    return Key(ALL, TEMPLATE + model.named(name))


def version_key(name: str, version: Version) -> Key:
    return Key(TEMPLATE + model.named(name), f"{VERSION}{version.major:05d}.{version.minor:05d}")


def used_key(name: str, environment_id: str) -> Key:
    return Key(TEMPLATE + name, USED + environment_id)


@lru_cache(maxsize=64)
def made_from(reference: str) -> TemplateVersion:
    """The version that an environment is made from; `state` aside, it never changes.

    Raises NotFound. Read once by each process.
    """
    name, _, number = reference.partition("@")
    return read(find_version(name, Version.parse(number)))


# --- what environments are made from ----------------------------------------------------------


def sought(text: str) -> Query:
    """What `name`, `name@1` or `name@1.2` may mean, the newest first; for `resolved`.

    Raises Invalid.
    """
    wanted = Reference.parse(text)
    numbers = "" if wanted.major is None else f"{wanted.major:05d}."
    numbers += "" if wanted.minor is None else f"{wanted.minor:05d}"
    return Query(TEMPLATE + wanted.name, VERSION + numbers, _LIKELY, newest_first=True)


def resolved(text: str, found: Found) -> TemplateVersion:
    """The published version that is meant, of the page that `sought` has found. Raises Invalid.

    No further round trip, unless the newest versions are all drafts or deprecated.
    """
    items, after = found
    if Reference.parse(text).version and items and items[0]["state"] != "published":
        raise _unusable(f"{text} is {items[0]['state']}, not published")
    for item in items:
        if item["state"] == "published":
            return read(item)
    if after is None:
        raise _unusable(f"no version of {text} is published")
    further = sought(text)._replace(after=after)
    return resolved(text, table.read((), further)[1][0])


def allowed(version: TemplateVersion) -> TemplateVersion:
    """The same. Raises Invalid if the list of types has become shorter since it was added."""
    disallowed = model.not_allowed(version.resources, settings().allowed_resource_types)
    if disallowed:
        detail = f"has resource types that are no longer allowed: {', '.join(disallowed)}"
        raise Invalid([FieldError("#/template", detail)])
    return version


def stored_at(version: TemplateVersion) -> str:
    """The key of its body."""
    return template_bodies.key(version.template, version.version, version.sha256)


def made_of(version: TemplateVersion) -> Fields:
    """What the record of an environment that is made from it says of it."""
    return {
        "template": version.reference,
        "template_key": stored_at(version),
        "parameters": [parameter.name for parameter in version.parameters],
        "defaults": sorted(BROUGHT & {n.name for n in version.parameters if n.default is not None}),
    }


def still_published(version: TemplateVersion) -> Check:
    """A part of the transaction that makes an environment from it."""
    where = version_key(version.template, Version.parse(version.version))
    return Check(where, "#state = :published", {"published": "published"})


def begins_use(version: TemplateVersion, environment: EnvironmentRecord) -> Put:
    """A part of the same transaction."""
    return Put(used_key(version.template, environment["id"]), _use(environment))


def note_use(environment: EnvironmentRecord) -> None:
    """Bring what is known of an environment's use of its template up to date, from the record.

    Repeating it changes nothing, and an older record changes nothing after a newer one: so one
    that was destroyed stays known for a day.
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
        "version": environment["template"].partition("@")[2],
        "status": environment["status"],
        "seen": environment["version"],
    }


# --- reading and changing ---------------------------------------------------------------------


def read(item: Mapping[str, Any]) -> TemplateVersion:
    return TemplateVersion.model_validate(item)


def found(item: TemplateRecord | None) -> TemplateRecord:
    if item is None:
        raise NotFound("There is no template with this name. Check the name.")
    return item


def find_version(name: str, version: Version) -> VersionRecord:
    item: VersionRecord | None = table.get(version_key(name, version))[0]
    if item is None:
        raise NotFound("The template has no such version. Check the number.")
    return item


def _unusable(detail: str) -> Invalid:
    return Invalid([FieldError("#/template", detail)])
