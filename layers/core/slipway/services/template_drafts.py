"""Drafts of template versions: checked, stored in S3, and as the table records them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.aws import template_bodies
from slipway.domain import template as model
from slipway.domain import timestamps
from slipway.domain.template import Version
from slipway.store import template_records as records
from slipway.store.table import Fields

if TYPE_CHECKING:
    from slipway.domain.capacity import Numbers
    from slipway.domain.template_parser import ParsedTemplate
    from slipway.domain.template_records import VersionRecord
    from slipway.domain.warning import TemplateWarning


class Checked(NamedTuple):
    """A body that may be added: its parts, the capacity that it reserves, warnings, and its Rules
    as its record holds them."""

    template: ParsedTemplate
    numbers: Numbers
    warnings: list[TemplateWarning]
    rules: str | None


def parse(body: bytes, media: str) -> Checked:
    """Raises Malformed, Invalid, TooCostly."""
    # Imported here, because only versions that are added or replaced are parsed.
    from slipway.domain import template_assertions, template_parser, template_warnings

    parsed = template_parser.read(body, is_json=media == "application/json")
    numbers = template_parser.check_allowed(parsed, records.allowances())
    rules = template_assertions.written(parsed.rules)
    return Checked(parsed, numbers, template_warnings.found(parsed), rules)


def is_of(draft: VersionRecord, body: bytes, media: str) -> bool:
    """Whether the draft has this body already, checked under the present rules."""
    same = draft["sha256"] == template_bodies.digest(body) and draft["media"] == media
    return same and draft.get("checked_under") == records.allowances().digest


def record(
    name: str,
    version: Version,
    found: Checked,
    body: bytes,
    media: str,
    made: Any,
) -> Fields:
    """Store the body, let CloudFormation validate it, and return the draft's record."""
    parsed, numbers, warnings, rules = found
    sha256 = template_bodies.digest(body)
    where = template_bodies.key(name, str(version), sha256)
    template_bodies.put(where, body, media)
    template_bodies.validate(where)
    at = timestamps.written(timestamps.now())
    return {
        "template": name,
        "version": str(version),
        "state": "draft",
        "sha256": sha256,
        "bytes": len(body),
        "media": media,
        "key": where,
        "parameters": [model.as_record(each) for each in parsed.parameters],
        "parameter_groups": [each.model_dump() for each in parsed.groups],
        "outputs": list(parsed.outputs),
        "resources": parsed.resources,
        "resource_types": list(parsed.resources),
        "transforms": parsed.sam,
        "looped": sorted(parsed.expansion.looped),
        "rules": rules,
        "warnings": [each.model_dump() for each in warnings],
        "reserves": numbers.as_record(),
        "checked_under": records.allowances().digest,
        "created_by": made["created_by"],
        "made_by": made.get("made_by"),
        "created_at": at,
        "updated_at": at,
    }
