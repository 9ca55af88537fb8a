"""What CloudFormation takes a plain scalar of YAML for, and its short forms of functions.

CloudFormation reads YAML 1.1 in Java: a scalar without quotes and tag can be a boolean, a number or
null, and where text is needed it becomes the text of that value. So `Default: 010` is 8, `yes` is
true, `1_000` is 1000, `1:30` is 90, `1.10` is 1.1, and 012345678901, which is no octal number, is
1.2345678901E10. Days and times stay as they are written, and so do y and n.

That follows from what was seen on AWS: S3 tags `YES` and `NO` (ASFHyP3/hyp3#2061), `on` and `off`
(aws/aws-cli#5257), octal numbers and 1.2345678901E10 (aws-cloudformation/rain#27, the article
skyarch.net/blog "CloudFormation YAML"), 08 as 8.0 (serverless-application-model#1135), hexadecimal
and sexagesimal numbers (dev.classmethod.jp "how-to-identify-numerical-values-in-cfn-yaml").
"""

from __future__ import annotations

import re
from decimal import Decimal

# `!Ref x` is {"Ref": x}, `!Sub x` is {"Fn::Sub": x}. The last ones, from Contains, are Rules'.
_FUNCTIONS = (
    "And Base64 Cidr Equals FindInMap GetAZs GetAtt If ImportValue Join Length Not Or Select Split "
    "Sub Length ToJsonString Contains EachMemberEquals EachMemberIn RefAll ValueOf ValueOfAll"
)
SHORT_FORMS = {
    "!Ref": "Ref",
    "!Condition": "Condition",
    **{f"!{name}": f"Fn::{name}" for name in _FUNCTIONS.split()},
}

# The readers in Java and in Python know the same words.
_TRUE = frozenset({"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(
    r"[-+]?(?:0b_*[01][01_]*|0[0-7_]+|0|[1-9][0-9_]*(?::[0-5]?[0-9])*|0x_*[0-9a-fA-F][0-9a-fA-F_]*)"
)
# A number of digits alone is a decimal fraction here if it is no whole number, such as 08.
_FRACTION = re.compile(
    r"[-+]?(?:(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
# What begins otherwise is text, which most scalars are.
_BEGINS = frozenset("-+.0123456789")
# Longer ones are no numbers that anyone means, and would take long to convert.
_LONGEST = 100

Scalar = bool | int | float | str | None


class Fraction(float):
    """A float whose text is that of Java."""

    def __str__(self) -> str:
        return _of_java(self)


def value(text: str) -> Scalar:
    """The value of a plain scalar: boolean, number, null, or the text itself."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _NULLS:
        return None
    if text[0] not in _BEGINS or len(text) > _LONGEST:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text.replace("_", ""))
    if _FRACTION.fullmatch(text):
        return Fraction(_fraction(text.replace("_", "")))
    return text


def written(value: Scalar) -> str | None:
    """The text that CloudFormation makes of the value; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _of_java(value) if isinstance(value, float) else str(value)


def text(plain: str) -> str | None:
    """The text that CloudFormation makes of a plain scalar; None for null."""
    return written(value(plain))


def is_text(plain: str) -> bool:
    """Whether a plain scalar stays as it is written."""
    return text(plain) == plain


def number(digits: str) -> str:
    """The text that CloudFormation makes of a number in JSON with a fraction or an exponent."""
    return _of_java(float(digits)) if len(digits) <= _LONGEST else digits


def _integer(text: str) -> int:
    sign, digits = (-1 if text[0] == "-" else 1), text.lstrip("+-")
    if ":" in digits:
        return sign * int(_sexagesimal(digits))
    if digits.startswith("0b"):
        return sign * int(digits[2:], 2)
    if digits.startswith("0x"):
        return sign * int(digits[2:], 16)
    return sign * int(digits, 8 if digits.startswith("0") else 10)


def _fraction(text: str) -> float:
    lower = text.lower()
    if lower == ".nan":
        return float("nan")
    sign, digits = (-1.0 if lower[0] == "-" else 1.0), lower.lstrip("+-")
    if digits == ".inf":
        return sign * float("inf")
    return sign * (float(_sexagesimal(digits)) if ":" in digits else float(digits))


def _sexagesimal(digits: str) -> Decimal:
    total = Decimal(0)
    for each in digits.split(":"):
        total = total * 60 + Decimal(each)
    return total


def _of_java(number: float) -> str:
    """The text of java.lang.Double.toString: at least one digit after the point, and an exponent
    from 10**7 on and below 10**-3."""
    if number != number:
        return "NaN"
    sign = "-" if str.startswith(float.__repr__(number), "-") else ""
    if number in (float("inf"), float("-inf")):
        return f"{sign}Infinity"
    if number == 0:
        return f"{sign}0.0"
    exact = Decimal(float.__repr__(abs(number))).normalize()
    digits = "".join(map(str, exact.as_tuple().digits))
    exponent = exact.adjusted()
    if -3 <= exponent < 7:
        plain = f"{exact:f}"
        return sign + (plain if "." in plain else f"{plain}.0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"
