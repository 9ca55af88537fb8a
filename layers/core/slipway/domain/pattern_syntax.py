"""Parses Java's regular expressions, as far as an automaton can express them.

A node is a tuple:

    ("cat", [node])  ("alt", [node])  ("repeat", node, least, most or None)
    ("set", test)    test(code, budget) says whether the character belongs to it
    ("anchor", name) start, end, or last line: before a line's end that ends the text
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, NoReturn

from slipway.domain.effort import Budget

Node = tuple[Any, ...]
Test = Callable[[int, Budget], bool]

LINE_ENDS = ("\n", "\r", "\x85", "\u2028", "\u2029")
_MAX_DEPTH = 50
_COUNTED = re.compile(r"\{([0-9]{1,9})(,([0-9]{1,9})?)?\}")
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])")
_GROUP_NAME = re.compile(r"\(\?<[a-zA-Z][a-zA-Z0-9]*>")
_KNOWN_FLAGS = frozenset("ism")


class Unreadable(Exception):
    """The pattern is none of Java's, or is not supported."""


def parse(pattern: str, budget: Budget) -> Node:
    """Raises Unreadable, Exhausted."""
    # A step for each character is for what reads several at once.
    budget.spend(len(pattern))
    return _Parser(pattern, budget).whole()


# --- sets of characters ---------------------------------------------------------------------


def _ranges(*ranges: tuple[int, int]) -> Test:
    def test(code: int, budget: Budget) -> bool:
        budget.spend(len(ranges))
        return any(low <= code <= high for low, high in ranges)

    return test


def _letters(text: str) -> Test:
    """The characters of the text; `a-z` in it is a range."""
    found = re.findall(r"(.)-(.)|(.)", text, re.DOTALL)
    return _ranges(*((ord(low or one), ord(high or one)) for low, high, one in found))


def _not(inner: Test) -> Test:
    return lambda code, budget: not inner(code, budget)


def _or(tests: list[Test]) -> Test:
    def test(code: int, budget: Budget) -> bool:
        budget.spend(len(tests))
        return any(each(code, budget) for each in tests)

    return test


def _and(tests: list[Test]) -> Test:
    def test(code: int, budget: Budget) -> bool:
        budget.spend(len(tests))
        return all(each(code, budget) for each in tests)

    return test


def _category(prefix: str) -> Test:
    return lambda code, budget: unicodedata.category(chr(code)).startswith(prefix)


_ANY = _ranges((0, 0x10FFFF))
_NOT_A_LINE_END = _not(_letters("".join(LINE_ENDS)))
_CLASSES = {
    "d": _letters("0-9"),
    "w": _letters("a-zA-Z0-9_"),
    "s": _letters(" \t\n\x0b\f\r"),
    "h": _letters(" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"),
    "v": _letters("\n\x0b\f\r\x85\u2028\u2029"),
}
_POSIX = {
    "Lower": _letters("a-z"),
    "Upper": _letters("A-Z"),
    "ASCII": _letters("\0-\x7f"),
    "Alpha": _letters("a-zA-Z"),
    "Digit": _letters("0-9"),
    "Alnum": _letters("a-zA-Z0-9"),
    "Punct": _letters("!-/:-@[-`{-~"),
    "Graph": _letters("!-~"),
    "Print": _letters(" -~"),
    "Blank": _letters(" \t"),
    "Cntrl": _letters("\0-\x1f\x7f"),
    "XDigit": _letters("0-9a-fA-F"),
    "Space": _letters(" \t\n\x0b\f\r"),
}
_CATEGORY = re.compile("L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cf]")
_CHARACTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_ANCHORS = {"A": "start", "z": "end", "Z": "last line"}
_ANYTHING: Node = ("repeat", ("set", _ANY), 0, None)
_NOTHING: Node = ("cat", [])


# --- the parser -----------------------------------------------------------------------------


class _Parser:
    def __init__(self, pattern: str, budget: Budget) -> None:
        self._text, self._at, self._budget, self._depth = pattern, 0, budget, 0
        self._flags: frozenset[str] = frozenset()

    def whole(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._text):
            self._refuse()
        return node

    def _refuse(self) -> NoReturn:
        raise Unreadable

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _next(self) -> str:
        self._budget.spend(1)
        if self._at >= len(self._text):
            self._refuse()
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, text: str) -> bool:
        self._budget.spend(1)
        found = self._text.startswith(text, self._at)
        if found:
            self._at += len(text)
        return found

    def _alternatives(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse()
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        self._depth -= 1
        return branches[0] if len(branches) == 1 else ("alt", branches)

    def _sequence(self) -> Node:
        parts = []
        while self._peek() not in ("", "|", ")"):
            if self._take("\\Q"):
                parts += [self._literal(letter) for letter in self._quoted()]
                if parts:
                    parts.append(self._repeated(parts.pop()))
            else:
                parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else ("cat", parts)

    def _quoted(self) -> str:
        end = self._text.find("\\E", self._at)
        end = len(self._text) if end < 0 else end
        quoted = self._text[self._at : end]
        self._budget.spend(len(quoted))
        self._at = min(end + 2, len(self._text))
        return quoted

    def _repeated(self, node: Node) -> Node:
        """The node with the quantifier that follows. Lazy and possessive ones count as greedy."""
        counted = _COUNTED.match(self._text, self._at)
        if counted:
            self._at = counted.end()
            least = int(counted[1])
            most = least if counted[2] is None else None if counted[3] is None else int(counted[3])
            if most is not None and most < least:
                self._refuse()
        elif self._peek() in ("*", "+", "?") and self._peek():
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._next()]
        else:
            return node
        if self._peek() in ("?", "+"):
            self._at += 1
        return ("repeat", node, least, most)

    def _atom(self) -> Node:
        letter = self._next()
        if letter == "(":
            return self._group()
        if letter == "[":
            return ("set", self._class())
        if letter == ".":
            return ("set", _ANY if "s" in self._flags else _NOT_A_LINE_END)
        if letter == "\\":
            return self._escaped()
        if letter in "^$":
            # With the flag m they also match inside the text.
            if "m" in self._flags:
                return _NOTHING
            return ("anchor", "start" if letter == "^" else "last line")
        if letter in "*+?{":
            self._refuse()
        return self._literal(letter)

    def _literal(self, letter: str) -> Node:
        return ("set", self._one(ord(letter)))

    def _one(self, low: int, high: int | None = None) -> Test:
        high = low if high is None else high
        return self._cased([(low, high)])

    def _cased(self, ranges: list[tuple[int, int]]) -> Test:
        """The ranges; with the flag i also the other case of each ASCII letter."""
        if "i" in self._flags:
            for low, high in list(ranges):
                for first, shift in ((65, 32), (97, -32)):
                    start, end = max(low, first), min(high, first + 25)
                    if start <= end:
                        ranges.append((start + shift, end + shift))
        return _ranges(*ranges)

    def _group(self) -> Node:
        before, is_lookaround = self._flags, False
        flags = _FLAGS.match(self._text, self._at - 1)
        if flags and (flags[1] or flags[2] or flags[3] == ":"):
            self._set_flags(flags[1], flags[2] or "")
            self._at = flags.end()
            if flags[3] == ")":
                # They hold to the end of the group around them.
                return _NOTHING
        elif named := _GROUP_NAME.match(self._text, self._at - 1):
            self._at = named.end()
        elif self._take("?"):
            is_lookaround = any(map(self._take, ("=", "!", "<=", "<!")))
            if not is_lookaround and not self._take(">"):
                self._refuse()
        inner = self._alternatives()
        if not self._take(")"):
            self._refuse()
        self._flags = before
        return _NOTHING if is_lookaround else inner

    def _set_flags(self, on: str, off: str) -> None:
        if not _KNOWN_FLAGS.issuperset(on + off):
            self._refuse()
        self._flags = (self._flags | set(on)) - set(off)

    # --- escapes ----------------------------------------------------------------------------

    def _escaped(self) -> Node:
        letter = self._next()
        if letter in _ANCHORS:
            return ("anchor", _ANCHORS[letter])
        if letter in "bBG":
            if self._peek() == "{":
                self._refuse()
            return _NOTHING
        if letter == "R":
            return ("alt", [("set", _CLASSES["v"]), ("cat", list(map(self._literal, "\r\n")))])
        if letter in "123456789" or letter == "X":
            return _ANYTHING
        if letter == "k":
            self._until(">") if self._take("<") else self._refuse()
            return _ANYTHING
        known = self._known_set(letter)
        return ("set", known if known else self._one(self._code(letter)))

    def _known_set(self, letter: str) -> Test | None:
        """The set that the escape stands for, in a class and elsewhere; None if it is another."""
        if letter.lower() in _CLASSES:
            test = _CLASSES[letter.lower()]
            return test if letter.islower() else _not(test)
        if letter in "pP":
            name = self._until("}") if self._take("{") else self._next()
            return self._property(name) if letter == "p" else _not(self._property(name))
        return None

    def _property(self, name: str) -> Test:
        # Java's versions differ in what case means here.
        if "i" in self._flags:
            self._refuse()
        if _CATEGORY.fullmatch(name.removeprefix("Is")):
            return _category(name.removeprefix("Is"))
        return _POSIX[name] if name in _POSIX else self._refuse()

    def _until(self, end: str) -> str:
        start = self._at
        while self._next() != end:
            pass
        return self._text[start : self._at - 1]

    def _code(self, letter: str) -> int:
        """The character of an escape, whose first letter is given."""
        if letter in _CHARACTERS:
            return ord(_CHARACTERS[letter])
        if letter == "x":
            digits = self._until("}") if self._take("{") else self._next() + self._next()
            return self._number(digits, 16)
        if letter == "u":
            code = self._number("".join(self._next() for _ in range(4)), 16)
            # Two of them may stand for one character.
            return self._refuse() if 0xD800 <= code < 0xE000 else code
        if letter == "0":
            found = re.compile("[0-3]?[0-7]{1,2}").match(self._text, self._at) or self._refuse()
            self._at = found.end()
            return int(found[0], 8)
        if letter == "c":
            return ord(self._next()) ^ 64
        return self._refuse() if letter.isascii() and letter.isalpha() else ord(letter)

    def _number(self, digits: str, base: int) -> int:
        if not re.fullmatch("[0-9a-fA-F]{1,6}", digits) or int(digits, base) > 0x10FFFF:
            self._refuse()
        return int(digits, base)

    # --- classes ----------------------------------------------------------------------------

    def _class(self) -> Test:
        """The class after its bracket. Java's versions differ in what a negation then covers."""
        self._depth += 1
        negated = self._take("^")
        is_compound = False
        all_of: list[Test] = []
        any_of: list[Test] = []
        ranges: list[tuple[int, int]] = []
        while not (self._peek() == "]" and (any_of or ranges)):
            if self._take("&&"):
                is_compound = True
                all_of.append(self._union(any_of, ranges))
                any_of, ranges = [], []
            elif self._take("["):
                is_compound = True
                any_of.append(self._class())
            else:
                self._member(any_of, ranges)
            if (is_compound and negated) or self._depth > _MAX_DEPTH:
                self._refuse()
        self._at += 1
        self._depth -= 1
        union = self._union(any_of, ranges)
        test = _and([*all_of, union]) if all_of else union
        return _not(test) if negated else test

    def _union(self, any_of: list[Test], ranges: list[tuple[int, int]]) -> Test:
        if not any_of and not ranges:
            self._refuse()
        both = [*any_of, self._cased(ranges)] if ranges else any_of
        return both[0] if len(both) == 1 else _or(both)

    def _member(self, any_of: list[Test], ranges: list[tuple[int, int]]) -> None:
        letter = self._next()
        if letter == "\\":
            if self._take("Q"):
                ranges += [(ord(each), ord(each)) for each in self._quoted()]
                return
            letter = self._next()
            known = self._known_set(letter)
            if known:
                any_of.append(known)
                return
            low = self._code(letter)
        else:
            low = ord(letter)
        high = low
        if self._peek() == "-" and self._peek(2)[1:] not in ("", "]", "[") and self._take("-"):
            letter = self._next()
            high = self._code(self._next()) if letter == "\\" else ord(letter)
            if high < low:
                self._refuse()
        ranges.append((low, high))
