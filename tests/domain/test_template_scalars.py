"""What CloudFormation takes a plain scalar for, by what was seen on AWS and by YAML 1.1."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import template_scalars
from slipway.domain.template_scalars import Fraction


@pytest.mark.parametrize(
    "plain,text",
    [
        # Seen on AWS; the module's docstring says where.
        ("YES", "true"),
        ("NO", "false"),
        ("on", "true"),
        ("off", "false"),
        ("000000001", "1"),
        ("0000000011", "9"),
        ("0300", "192"),
        ("012345678901", "1.2345678901E10"),
        ("08", "8.0"),
        ("09", "9.0"),
        # By YAML 1.1 and by Java's text of a double.
        ("true", "true"),
        ("True", "true"),
        ("No", "false"),
        ("y", "y"),
        ("N", "N"),
        ("yEs", "yEs"),
        ("~", None),
        ("null", None),
        ("", None),
        ("nUll", "nUll"),
        ("0", "0"),
        ("-0", "0"),
        ("+5", "5"),
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("0o17", "0o17"),
        ("1:30", "90"),
        ("190:20:30", "685230"),
        ("190:20:30.15", "685230.15"),
        ("1:60", "1:60"),
        ("1.10", "1.1"),
        ("1.0", "1.0"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("-1.50", "-1.5"),
        ("1e3", "1000.0"),
        ("1e10", "1.0E10"),
        ("12345678.5", "1.23456785E7"),
        ("0.0001", "1.0E-4"),
        ("0.001", "0.001"),
        ("-0.0", "-0.0"),
        (".inf", "Infinity"),
        ("-.INF", "-Infinity"),
        (".nan", "NaN"),
        ("123456789012", "123456789012"),
        # Neither a number nor a boolean.
        ("2010-09-09", "2010-09-09"),
        ("2026-11-29T01:02:03Z", "2026-11-29T01:02:03Z"),
        ("10.0.0.1", "10.0.0.1"),
        ("1.2.3", "1.2.3"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("1d", "1d"),
        ("-", "-"),
        (".", "."),
        ("_1", "_1"),
        ("0x", "0x"),
        ("<<", "<<"),
        ("9" * 101, "9" * 101),
    ],
)
def test_a_plain_scalar_becomes_this_text(plain: str, text: str | None) -> None:
    assert template_scalars.text(plain) == text


def test_values_have_the_types_that_functions_compare() -> None:
    found = [template_scalars.value(each) for each in ("yes", "010", "1.5", "~", "x")]

    assert found == [True, 8, 1.5, None, "x"]
    assert [type(each) for each in found] == [bool, int, Fraction, type(None), str]
    assert f"{template_scalars.value('08')}" == "8.0"


@given(st.from_regex(r"[-+]?[0-9][0-9_:.]{0,8}|[a-zA-Z]{1,5}", fullmatch=True))
def test_whatever_python_reads_as_a_boolean_or_an_integer_is_one_here(plain: str) -> None:
    """Both read YAML 1.1; they differ in fractions alone."""
    read = yaml.safe_load(plain)

    if isinstance(read, bool | int) or read is None:
        assert template_scalars.value(plain) == read
        assert type(template_scalars.value(plain)) is type(read)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_is_that_number(number: float) -> None:
    written = template_scalars.written(Fraction(number))

    assert written is not None
    assert float(written) == number
    assert "." in written
