"""The transform AWS::LanguageExtensions: what its loops make, so that all of it is checked.

`Fn::ForEach` repeats the members of a mapping in Resources, Conditions and Outputs, and wherever
these contain one. CloudFormation replaces a loop's identifier in the keys that the loop makes, in
the text of `Fn::Sub` and in `Ref`; elsewhere it stays as it is, which is nothing that a template
means, so it is refused here. `Fn::Length`, `Fn::ToJsonString` and the other additions need no
expansion: the checks read them as values that are not known.

A loop over a parameter depends on the environment's inputs, so the template is expanded again with
them (slipway.store.template_records). What is expanded has limits; the work is linear in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from slipway.domain import effort, inputs
from slipway.domain.references import MAX_NAME, Place, below, path
from slipway.domain.template import Parameter
from slipway.domain.template_text import intrinsic
from slipway.errors import FieldError, Invalid

TRANSFORM = "AWS::LanguageExtensions"
LOOP = "Fn::ForEach"
# As many nodes as a template may have, and characters of texts with replaced identifiers.
MOST_NODES = 150_000
MOST_CHARACTERS = 2_000_000
_SECTIONS = ("Conditions", "Resources", "Outputs")
# A placeholder: `${Name}`, or `&{Name}`, which drops what is no letter or digit.
_PLACEHOLDER = re.compile(r"([$&])\{([^!{}][^{}]*)\}")
_IN_SUB = re.compile(r"\$\{([^!{}][^{}]*)\}")
_COLLECTION = (
    "must be a list, the !Ref of a list parameter, or a list in Mappings that is found with texts "
    "and parameters"
)
_NOT_REPLACED = "is not replaced here: write the text with !Sub, or !Ref {0}"


@dataclass
class Expansion:
    """The template without loops.

    `looped` are the parameters whose values decide what loops make. `origins` are the places of
    what loops made, each with its place in the template as it is written.
    """

    tree: dict[str, Any]
    looped: set[str] = field(default_factory=set)
    origins: list[tuple[Place, Place]] = field(default_factory=list)

    def source(self, faults: Sequence[FieldError]) -> list[FieldError]:
        """The faults with pointers into the template as it is written, each once."""
        found = {(self.source_of(each.pointer), each.detail): None for each in faults}
        return [FieldError(pointer, detail) for pointer, detail in found]

    def source_of(self, pointer: str) -> str:
        """The pointer into the template as it is written."""
        end = len(pointer)
        while end > 0:
            if pointer[:end] in self._known:
                return self._known[pointer[:end]] + pointer[end:]
            end = pointer.rfind("/", 0, end)
        return pointer

    @cached_property
    def _known(self) -> Mapping[str, str]:
        return {below("#", *path(made)): below("#", *path(wrote)) for made, wrote in self.origins}


def expanded(
    tree: Mapping[str, Any], parameters: Sequence[Parameter], values: Mapping[str, str]
) -> Expansion:
    """The template with its loops carried out. `values` are those of inputs; others have defaults.

    Raises Invalid for a loop that is malformed, makes too much, or that depends on what is not
    known; TooCostly.
    """
    known = {each.name: each for each in parameters}
    names = {name for each in ("Parameters", "Resources") for name in _mapping(tree.get(each))}
    run = _Run(Expansion(dict(tree)), known, values, _mapping(tree.get("Mappings")), names)
    for section in _SECTIONS:
        if section in tree:
            at: Place = (section, ())
            run.found.tree[section] = run.expand(tree[section], _At(at, at), {})
    return run.found


@dataclass(frozen=True)
class _At:
    """The place of a value in what is made, and in the template as it is written."""

    made: Place
    wrote: Place

    def __truediv__(self, key: int | str) -> _At:
        return _At((key, self.made), (key, self.wrote))


def _refused(at: _At, detail: str) -> Invalid:
    return Invalid([FieldError(below("#", *path(at.wrote)), detail)])


@dataclass
class _Run:
    found: Expansion
    parameters: Mapping[str, Parameter]
    values: Mapping[str, str]
    mappings: Mapping[str, Any]
    names: set[str]
    nodes: int = MOST_NODES
    characters: int = MOST_CHARACTERS
    loops: dict[str, Place] = field(default_factory=dict)

    def expand(self, value: Any, at: _At, bound: Mapping[str, str]) -> Any:
        """The value without loops and with the identifiers in `bound` replaced."""
        self._count(at)
        if isinstance(value, str):
            return self._plain(value, at, bound)
        if isinstance(value, list):
            return [self.expand(each, at / n, bound) for n, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        call = intrinsic(value)
        if call and call[0] == "Ref" and isinstance(call[1], str):
            return bound.get(call[1], value)
        if call and call[0] == "Fn::Sub":
            return self._sub(call[1], at / "Fn::Sub", bound)
        return self._members(value, at, bound)

    def _count(self, at: _At) -> None:
        effort.check()
        self.nodes -= 1
        if self.nodes < 0:
            raise _refused(at, f"makes more than {MOST_NODES} nodes")

    def _members(self, value: Mapping[str, Any], at: _At, bound: Mapping[str, str]) -> Any:
        made: dict[str, Any] = {}
        for key, each in value.items():
            here = at / key
            if not key.startswith(f"{LOOP}::"):
                made[self._plain(key, here, bound)] = self.expand(each, here, bound)
                continue
            for name, read in self._loop(key, each, here, at.made, bound):
                if name in made or name in value:
                    raise _refused(here, f"makes {name[:MAX_NAME]}, which is there already")
                made[name] = read
        return made

    def _loop(
        self, key: str, value: Any, at: _At, into: Place, bound: Mapping[str, str]
    ) -> Iterator[tuple[str, Any]]:
        """The members that a loop makes in the mapping at the place `into`."""
        if self.loops.setdefault(key, at.wrote) != at.wrote:
            raise _refused(at, "has the name of another loop")
        if not (isinstance(value, list) and len(value) == 3):
            raise _refused(at, "must be a list of an identifier, a collection and a mapping")
        identifier, collection, fragment = value
        if not (isinstance(identifier, str) and re.fullmatch(r"[A-Za-z0-9]{1,255}", identifier)):
            raise _refused(at / 0, "must be letters and digits")
        if identifier in bound or identifier in self.names:
            raise _refused(at / 0, "is also the name of something else")
        if not (isinstance(fragment, dict) and fragment):
            raise _refused(at / 2, "must be a mapping")
        for item in self._collection(collection, at / 1, bound):
            self._count(at)
            yield from self._repeat(fragment, at / 2, into, {**bound, identifier: item}, identifier)

    def _repeat(
        self,
        fragment: Mapping[str, Any],
        at: _At,
        into: Place,
        bound: Mapping[str, str],
        identifier: str,
    ) -> Iterator[tuple[str, Any]]:
        for key, each in fragment.items():
            wrote = (key, at.wrote)
            if key.startswith(f"{LOOP}::"):
                yield from self._loop(key, each, _At((key, into), wrote), into, bound)
                continue
            if identifier not in (name for _, name in _PLACEHOLDER.findall(key)):
                detail = f"must contain ${{{identifier}}} or &{{{identifier}}}"
                raise _refused(at / key, detail)
            name = self._replaced(_PLACEHOLDER, key, at / key, bound)
            here = _At((name, into), wrote)
            self.found.origins.append((here.made, here.wrote))
            yield name, self.expand(each, here, bound)

    def _replaced(
        self, pattern: re.Pattern[str], text: str, at: _At, bound: Mapping[str, str]
    ) -> str:
        """The text with the placeholders of the pattern that are bound replaced."""

        def value(found: re.Match[str]) -> str:
            item = bound.get(found[found.lastindex or 1])
            if item is None:
                return found[0]
            return re.sub("[^A-Za-z0-9]", "", item) if found[0][0] == "&" else item

        if not bound:
            return text
        read = pattern.sub(value, text)
        self.characters -= len(read)
        if self.characters < 0:
            raise _refused(at, f"makes more than {MOST_CHARACTERS} characters")
        return read

    def _plain(self, text: str, at: _At, bound: Mapping[str, str]) -> str:
        """A text in which nothing is replaced. Raises Invalid if it looks as if it were."""
        if bound and "{" in text:
            for _, name in _PLACEHOLDER.findall(text):
                if name in bound:
                    raise _refused(at, _NOT_REPLACED.format(name))
        return text

    def _sub(self, argument: Any, at: _At, bound: Mapping[str, str]) -> Any:
        text, own = argument, None
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):
            text, own = argument
            if not bound.keys().isdisjoint(own):
                raise _refused(at / 1, "has a variable with the name of a loop's identifier")
            own = self.expand(own, at / 1, bound)
        if not isinstance(text, str):
            return {"Fn::Sub": self.expand(argument, at, bound)}
        read = self._replaced(_IN_SUB, text, at, bound)
        if own is None and read != text and "${" not in read:
            return read  # Nothing is left for CloudFormation to replace.
        return {"Fn::Sub": read if own is None else [read, own]}

    # --- collections ---------------------------------------------------------------------------

    def _collection(self, value: Any, at: _At, bound: Mapping[str, str]) -> list[str]:
        call = intrinsic(value)
        if isinstance(value, list):
            found: list[str | None] = [
                self._text(each, at / n, bound) for n, each in enumerate(value)
            ]
        elif call and call[0] == "Ref" and isinstance(call[1], str):
            text = self._parameter(call[1], at)
            found = [each.strip() for each in text.split(",")] if text is not None else [None]
        elif call and call[0] == "Fn::FindInMap":
            listed = self._mapped(call[1], at / "Fn::FindInMap", bound)
            found = [each if isinstance(each, str) else None for each in listed]
        else:
            found = [None]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            raise _refused(at, _COLLECTION)
        return known

    def _text(self, value: Any, at: _At, bound: Mapping[str, str]) -> str | None:
        """The text of a collection's item or a key of a mapping; None if it is not known."""
        if isinstance(value, str):
            return self._plain(value, at, bound)
        call = intrinsic(value)
        if call and call[0] == "Ref" and isinstance(call[1], str):
            return bound[call[1]] if call[1] in bound else self._parameter(call[1], at)
        if call and call[0] == "Fn::Sub" and isinstance(call[1], str):
            read = self._replaced(_IN_SUB, call[1], at, bound)
            return None if "${" in read else read
        return None

    def _parameter(self, name: str, at: _At) -> str | None:
        """The value of a parameter, which then decides what the loop makes."""
        parameter = self.parameters.get(name)
        if parameter is None:
            return None
        if parameter.no_echo or parameter.is_read or name in inputs.CONVENTIONS:
            raise _refused(at, f"must not depend on {name[:MAX_NAME]}, so that it can be checked")
        self.found.looped.add(name)
        value = self.values.get(name, parameter.default)
        if value is None:
            detail = f"needs a Default of {name[:MAX_NAME]}, so that what it makes can be checked"
            raise _refused(at, detail)
        return value

    def _mapped(self, argument: Any, at: _At, bound: Mapping[str, str]) -> list[Any]:
        if not (isinstance(argument, list) and len(argument) in (3, 4)):
            raise _refused(at, "must be a list of a mapping's name and two keys")
        found: Any = self.mappings
        for n, each in enumerate(argument[:3]):
            key = self._text(each, at / n, bound)
            if key is None:
                raise _refused(at / n, _COLLECTION)
            found = found.get(key) if isinstance(found, dict) else None
        if found is None and len(argument) == 4 and isinstance(argument[3], dict):
            found = argument[3].get("DefaultValue")
        if not isinstance(found, list):
            raise _refused(at, "must find a list in Mappings")
        return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
