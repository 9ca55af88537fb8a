"""The inputs of a template as fields of a form, in the template's own groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.console.forms import Form
from slipway.console.markup import Markup, html, joined
from slipway.console.request import Request

VERSIONS = "/api/v1/templates/{}/versions"
# slipway.domain.inputs.CONVENTIONS; tests/console/test_environments.py compares them.
SUPPLIED = frozenset(
    (
        *("Artifact", "ArtifactBucket", "ArtifactKey", "ArtifactVersion", "ConfigurationPath"),
        *("EnvironmentId", "EnvironmentName", "PermissionsBoundary", "ProjectName", "Version"),
    )
)
_KEEP = "Leave it empty to keep the present value."
_NUMBER = r"-?[0-9]*\.?[0-9]+"


def fields(form: Form, version: Mapping[str, Any], values: Mapping[str, str] | None = None) -> None:
    """Add a field for each input of the version; `values` are those that it has now."""
    known = {each["name"]: each for each in version["parameters"] if each["name"] not in SUPPLIED}
    grouped = set()
    for group in version["parameter_groups"]:
        members = [known[name] for name in group["parameters"] if name in known]
        grouped |= {each["name"] for each in members}
        if members:
            form.open_group(group["label"] or "Inputs")
            for each in members:
                _field(form, each, values)
            form.close_group()
    rest = [each for name, each in known.items() if name not in grouped]
    if rest:
        form.open_group("Inputs" if not grouped else "Other inputs")
        for each in rest:
            _field(form, each, values)
        form.close_group()


def _field(form: Form, each: Mapping[str, Any], values: Mapping[str, str] | None) -> None:
    name = f"inputs.{each['name']}"
    label = each["label"] or each["name"]
    present = None if values is None else values.get(each["name"])
    needed = each["default"] is None and values is None
    hint = _hint(each, has_value=values is not None)
    if each["no_echo"]:
        form.text(
            name, label, type="password", hint=hint, required=needed, autocomplete="new-password"
        )
    elif each["allowed_values"]:
        options = [(value, value) for value in each["allowed_values"]]
        if needed:
            options.insert(0, ("", "Choose one"))
        chosen = present if present is not None else each["default"] or ""
        form.choice(name, label, options, chosen, hint=hint, required=needed)
    else:
        form.text(
            name,
            label,
            present if present is not None else each["default"] or "",
            hint=hint,
            required=needed,
            inputmode="decimal" if each["type"] == "Number" else None,
            maxlength=each["max_length"],
        )


def _hint(each: Mapping[str, Any], *, has_value: bool) -> str:
    parts = [each["description"] or ""]
    if each["constraint_description"]:
        parts.append(each["constraint_description"])
    elif each["min_value"] is not None or each["max_value"] is not None:
        low, high = each["min_value"], each["max_value"]
        bounds = [
            f"at least {low}" if low is not None else "",
            f"at most {high}" if high is not None else "",
        ]
        parts.append(" and ".join(filter(None, bounds)).capitalize() + ".")
    elif each["allowed_pattern"]:
        parts.append(f"It must match {each['allowed_pattern']}.")
    if each["type"] not in ("String", "Number"):
        parts.append(f"Its type is {each['type']}; a list has commas between its values.")
    if each["no_echo"]:
        parts.append(_KEEP if has_value else "It is a secret: nobody can read it afterwards.")
    return " ".join(filter(None, parts))


def sent(request: Request, version: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The inputs that the form has. An empty secret is left out, and so is an empty field."""
    found = {
        name.removeprefix("inputs."): value
        for name, value in request.form.items()
        if name.startswith("inputs.")
    }
    return {name: value for name, value in found.items() if value != ""}


def warnings(version: Mapping[str, Any]) -> Markup:
    """What is accepted, but will fail or do nothing later."""
    items = [
        html("<li>{text}</li>", text=each.get("detail") or each.get("message") or "")
        for each in version["warnings"]
    ]
    return html('<ul class="quiet">{items}</ul>', items=items) if items else joined([])
