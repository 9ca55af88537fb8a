"""Forms: fields with labels, what was sent, and the API's refusals beside the fields.

    form = Form(request, "/console/projects")
    form.text("name", "Name", required=True)
    form.html("Create project")

A field's name is the JSON pointer of what it becomes in the request to the API, with dots:
`policy.max_ttl_hours` is `#/policy/max_ttl_hours`. So a refusal finds its field.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from slipway.console import layout
from slipway.console.markup import NOTHING, Markup, attributes, html
from slipway.console.request import Request


class Form:
    """A form that is sent to `action` by POST. Fields are shown in the order they are added.

    `part` begins the ids of its fields, where a page has two forms with the same names.
    """

    def __init__(self, request: Request, action: str, *, part: str = "") -> None:
        self.request, self.action, self.part = request, action, part
        self.problem = request.refused(action)
        self._fields: list[Markup] = []
        self._named: set[str] = set()

    def text(
        self,
        name: str,
        label: str,
        value: Any = "",
        *,
        hint: str = "",
        type: str = "text",
        **given: Any,
    ) -> None:
        """A field of one line. `given` are attributes of the input. A password is never shown."""
        shown = None if type == "password" else self._value(name, value)
        control = html(
            '<input id="{id}" name="{name}" type="{type}"{value}{more}>',
            id=self._id(name),
            name=name,
            type=type,
            value=attributes(value=shown),
            more=attributes(**self._described(name, hint), **given),
        )
        self._add(name, label, hint, control)

    def area(
        self, name: str, label: str, value: Any = "", *, hint: str = "", rows: int = 4, **given: Any
    ) -> None:
        """A field of several lines."""
        # HTML leaves out the first newline of the content.
        control = html(
            '<textarea id="{id}" name="{name}" rows="{rows}"{more}>\n{value}</textarea>',
            id=self._id(name),
            name=name,
            rows=rows,
            more=attributes(**self._described(name, hint), **given),
            value=self._value(name, value),
        )
        self._add(name, label, hint, control)

    def choice(
        self,
        name: str,
        label: str,
        options: Iterable[tuple[str, str]],
        value: Any = "",
        *,
        hint: str = "",
        **given: Any,
    ) -> None:
        """A choice among options: (value, what is shown)."""
        chosen = str(self._value(name, value))
        shown = [
            html(
                '<option value="{key}"{selected}>{words}</option>',
                key=key,
                selected=attributes(selected=key == chosen),
                words=words,
            )
            for key, words in options
        ]
        control = html(
            '<select id="{id}" name="{name}"{more}>{options}</select>',
            id=self._id(name),
            name=name,
            more=attributes(**self._described(name, hint), **given),
            options=shown,
        )
        self._add(name, label, hint, control)

    def check(self, name: str, label: str, *, on: bool = False, hint: str = "") -> None:
        """A box to tick; its value is `true`."""
        was = self.request.form.get(name) == "true" if self.problem else on
        self._named.add(name)
        self._fields.append(
            html(
                '<div class="field check"><input id="{id}" name="{name}" type="checkbox" '
                'value="true"{more}><label for="{id}">{label}</label>{hint}{error}</div>',
                id=self._id(name),
                name=name,
                more=attributes(checked=was, **self._described(name, hint)),
                label=label,
                hint=self._hint(name, hint),
                error=self._error(name),
            )
        )

    def checks(
        self,
        name: str,
        legend: str,
        options: Iterable[tuple[str, str]],
        chosen: Iterable[str] = (),
        *,
        hint: str = "",
    ) -> None:
        """Boxes to tick that have one name, so that several can be chosen: (value, what is shown).

        `request.lists` has what was ticked.
        """
        ticked = set(self.request.lists.get(name, ()) if self.problem else chosen)
        boxes = [
            html(
                '<label class="box"><input type="checkbox" name="{name}" value="{value}"{ticked}>'
                " {words}</label>",
                name=name,
                value=value,
                ticked=attributes(checked=value in ticked),
                words=words,
            )
            for value, words in options
        ]
        self._named.add(name)
        self._fields.append(
            html(
                '<fieldset class="boxes"{described}><legend>{legend}</legend>{hint}{boxes}{error}'
                "</fieldset>",
                described=attributes(**self._described(name, hint)),
                legend=legend,
                hint=self._hint(name, hint),
                boxes=boxes,
                error=self._error(name),
            )
        )

    def hidden(self, name: str, value: str) -> None:
        """A field that nobody sees."""
        self._fields.append(
            html('<input type="hidden" name="{name}" value="{value}">', name=name, value=value)
        )

    def open_group(self, legend: str) -> None:
        """Begin a group of fields."""
        self._fields.append(html("<fieldset><legend>{legend}</legend>", legend=legend))

    def close_group(self) -> None:
        """End the group of fields."""
        self._fields.append(html("</fieldset>"))

    def add(self, markup: Markup) -> None:
        """Anything between the fields."""
        self._fields.append(markup)

    def html(self, button: str, *, kind: str = "", shape: str = "") -> Markup:
        """The form, with the refusal of what was sent last. `kind` is the button's class.

        Each form has a key of its own, so that one that is sent twice is carried out once.
        """
        return html(
            '<form method="post" action="{action}" class="{shape}">{problem}{token}'
            '<input type="hidden" name="key" value="{key}">{fields}'
            '<div class="buttons"><button class="{kind}">{button}</button></div></form>',
            action=self.action,
            shape=shape,
            problem=self._problem(),
            token=layout.form_token(self.request),
            key=secrets.token_urlsafe(12),
            fields=self._fields,
            kind=kind,
            button=button,
        )

    def _problem(self) -> Markup:
        if self.problem is None:
            return NOTHING
        self.request.told = True
        pointers = {f"/{name.replace('.', '/')}" for name in self._named}
        others = [each for each in self.problem.errors if _pointer(each[0]) not in pointers]
        items = [
            html("<li>{where} {detail}</li>", where=pointer.lstrip("#/"), detail=detail)
            for pointer, detail in others
        ]
        return layout.problem_box(
            self.problem, items, beside=len(others) < len(self.problem.errors)
        )

    def _add(self, name: str, label: str, hint: str, control: Markup) -> None:
        self._named.add(name)
        self._fields.append(
            html(
                '<div class="field"><label for="{id}">{label}</label>{hint}{control}{error}</div>',
                id=self._id(name),
                label=label,
                hint=self._hint(name, hint),
                control=control,
                error=self._error(name),
            )
        )

    def _id(self, name: str) -> str:
        return f"{self.part}-{name}" if self.part else name

    def _value(self, name: str, value: Any) -> Any:
        return self.request.form.get(name, value) if self.problem else value

    def _faults(self, name: str) -> list[str]:
        pointer = f"/{name.replace('.', '/')}"
        errors = self.problem.errors if self.problem else ()
        return [detail for where, detail in errors if _pointer(where) == pointer]

    def _described(self, name: str, hint: str) -> dict[str, Any]:
        faults = self._faults(name)
        by = [f"{self._id(name)}-hint"] * bool(hint) + [f"{self._id(name)}-error"] * bool(faults)
        return {
            "aria_describedby": " ".join(by) or None,
            "aria_invalid": "true" if faults else None,
        }

    def _hint(self, name: str, hint: str) -> Markup:
        if not hint:
            return NOTHING
        return html('<p class="hint" id="{id}-hint">{hint}</p>', id=self._id(name), hint=hint)

    def _error(self, name: str) -> Markup:
        faults = self._faults(name)
        if not faults:
            return NOTHING
        return html(
            '<p class="error" id="{id}-error">{faults}</p>',
            id=self._id(name),
            faults="; ".join(faults),
        )


def _pointer(given: str) -> str:
    """The pointer of a field; that of a parameter, such as `?version`, as if it were one."""
    return f"/{given[1:]}" if given.startswith("?") else given.lstrip("#")


def action_button(request: Request, action: str, words: str, *, kind: str = "plain") -> Markup:
    """A form of one button, with the refusal of what it was pressed for."""
    return Form(request, action).html(words, kind=kind, shape="inline")


def filled(request: Request, *names: str) -> dict[str, Any]:
    """The fields that somebody has filled in, of these names, as a body of the API."""
    found = {name: request.form.get(name, "").strip() for name in names}
    return {name: value for name, value in found.items() if value}


def number(text: str) -> int | float | str:
    """The number that a text is, else the text, for the API to refuse."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        found = float(text)
    except ValueError:
        return text
    return found if found == found and abs(found) != float("inf") else text
