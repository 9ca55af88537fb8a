"""The value of `make local PARAMETERS=`: text -> the stack's parameters.

The format is that of SAM's `parameter_overrides`: Key=Value pairs, separated by spaces; a value
with spaces is quoted. CloudFormation validates names and values when the stack is created.
"""

import shlex


class Malformed(Exception):
    """The text is not a list of Key=Value pairs. The message says where."""


def parse(text: str) -> dict[str, str]:
    """The parameters by name, from text like `Stage=prod Title='Two words'`.

    Raises Malformed for unbalanced quotes, a word that is not Key=Value, or a repeated name.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Malformed(f"{text!r}: {error}") from error
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isalnum():
            raise Malformed(f"{word!r} is not Key=Value; quote a value that contains spaces")
        if name in found:
            raise Malformed(f"{name} is given twice")
        found[name] = value
    return found
