"""Inputs of a template, checked against its parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import inputs
from slipway.domain.template import Parameter
from slipway.errors import Invalid
from tests.support.store_names import NOT_PUBLIC


def parameter(name: str = "X", type: str = "String", **more: Any) -> Parameter:
    return Parameter.model_validate({"name": name, "type": type, **more})


def refused(declared: list[Parameter], given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        inputs.checked(declared, given)
    return {each.pointer: each.detail for each in error.value.fields}


@pytest.mark.parametrize(
    "type,value,text",
    [
        ("String", "small", "small"),
        ("String", "", ""),
        ("Number", 3, "3"),
        ("Number", 1.5, "1.5"),
        ("Number", "1.50", "1.50"),
        ("Number", -2, "-2"),
        ("Number", 60.0, "60"),
        ("Number", 1e3, "1000"),
        ("String", True, "true"),
        ("String", False, "false"),
        ("String", 8080, "8080"),
        ("String", 1.5, "1.5"),
        ("CommaDelimitedList", ["a,b"], "a,b"),
        ("CommaDelimitedList", ["a", 1, True], "a,1,true"),
        ("CommaDelimitedList", 5, "5"),
        ("List<String>", ["a", "b"], "a,b"),
        ("CommaDelimitedList", ["a", "b"], "a,b"),
        ("CommaDelimitedList", "a, b", "a, b"),
        ("CommaDelimitedList", [], ""),
        ("List<Number>", [1, 2.5, "3"], "1,2.5,3"),
        ("List<Number>", "1,2", "1,2"),
        ("AWS::EC2::VPC::Id", "vpc-1", "vpc-1"),
        ("List<AWS::EC2::Subnet::Id>", ["subnet-1", "subnet-2"], "subnet-1,subnet-2"),
    ],
)
def test_a_value_is_written_in_the_form_that_cloudformation_takes(
    type: str, value: Any, text: str
) -> None:
    assert inputs.checked([parameter(type=type)], {"X": value}) == {"X": text}


@pytest.mark.parametrize(
    "type,value",
    [
        ("String", None),
        ("String", ["a"]),
        ("String", {"a": 1}),
        ("Number", "x"),
        ("Number", ""),
        ("Number", "1,2"),
        ("Number", True),
        ("Number", [1]),
        ("Number", 10**4000),
        ("Number", "1" * 200),
        ("CommaDelimitedList", [["a"]]),
        ("CommaDelimitedList", [None]),
        ("CommaDelimitedList", {"a": 1}),
        ("List<Number>", ["1", False]),
        ("List<Number>", ["x"]),
        ("List<Number>", [True]),
        ("String", "x" * 4097),
        ("String", "ü" * 2049),
        ("String", "{{resolve:secretsmanager:somebody-elses}}"),
        ("CommaDelimitedList", ["a", "b\x01"]),
    ],
)
def test_a_value_of_another_type_is_refused(type: str, value: Any) -> None:
    assert list(refused([parameter(type=type)], {"X": value})) == ["#/inputs/X"]


@pytest.mark.parametrize("letter", "\0\x01\x08\x0b\x0c\x0e\x1f\ud800\udfff\ufffe\uffff")
def test_a_character_that_xml_forbids_is_refused(letter: str) -> None:
    found = refused([parameter(), parameter("Y", no_echo=True)], dict.fromkeys("XY", f"a{letter}"))

    said = "must not contain control characters"
    assert found == {"#/inputs/X": said, "#/inputs/Y": said}


@pytest.mark.parametrize(
    "text", ["a\tb\r\nc", "\x7f\x85", "\ud7ff\ue000\ufffd", "\U0001fffe", "👩‍🚀"]
)
def test_characters_that_xml_allows_are_accepted(text: str) -> None:
    assert inputs.checked([parameter()], {"X": text}) == {"X": text}


@pytest.mark.parametrize(
    "more,good,bad",
    [
        ({"allowed_values": ["a", "b"]}, "a", "c"),
        ({"allowed_pattern": "[a-z]+"}, "abc", "abc1"),
        ({"allowed_pattern": "^[a-z]+$"}, "abc", "abc\n"),
        ({"min_length": 2}, "ab", "a"),
        ({"max_length": 2}, "ab", "abc"),
        ({"type": "Number", "min_value": "1.5"}, 1.5, 1.4),
        ({"type": "Number", "max_value": "5"}, "5.0", 5.1),
        ({"type": "Number", "allowed_values": ["1", "2"]}, "1.0", 3),
        ({"type": "CommaDelimitedList", "allowed_values": ["a", "b"]}, "a, b", "a,c"),
        ({"type": "CommaDelimitedList", "allowed_pattern": "[a-z]"}, ["a"], ["a", "1"]),
        ({"type": "List<Number>", "max_value": "5"}, [1, 5], [1, 6]),
    ],
)
def test_a_value_must_satisfy_its_parameter(more: dict[str, Any], good: Any, bad: Any) -> None:
    declared = [parameter(**more)]

    inputs.checked(declared, {"X": good})
    assert list(refused(declared, {"X": bad})) == ["#/inputs/X"]


def test_the_constraint_description_of_the_template_is_the_detail() -> None:
    declared = [parameter(allowed_pattern="[a-z]+", constraint_description="only lower case")]

    assert refused(declared, {"X": "A"}) == {"#/inputs/X": "only lower case"}


def test_all_errors_are_reported_at_once() -> None:
    declared = [
        parameter("A"),
        parameter("B", default="b"),
        parameter("C", "Number"),
        parameter("Version"),
    ]

    found = refused(declared, {"C": "x", "D": 1, "Version": "v1", "a/b": 1})

    assert found == {
        "#/inputs/A": "is required",
        "#/inputs/C": "must be a number",
        "#/inputs/D": "is not a parameter of the template",
        "#/inputs/Version": "is supplied by Slipway",
        "#/inputs/a~1b": "is not a parameter of the template",
    }


def test_a_parameter_that_slipway_supplies_is_not_required() -> None:
    declared = [parameter(name) for name in sorted(inputs.CONVENTIONS)]

    assert inputs.checked(declared, {}) == {}
    assert inputs.with_defaults(declared, {}) == {}


def test_a_secret_is_never_shown_and_never_empty() -> None:
    declared = [
        parameter("Password", no_echo=True, default="changeit"),
        parameter("A", default="a"),
    ]

    assert inputs.secrets(declared) == {"Password"}
    assert inputs.with_defaults(declared, {"Password": "hunter22"}) == {
        "Password": "****",
        "A": "a",
    }
    assert refused(declared, {"Password": ""}) == {"#/inputs/Password": "must not be empty"}


def test_what_is_shown_in_place_of_a_secret_is_no_secret() -> None:
    declared = [parameter("Password", no_echo=True), parameter("A")]

    detail = "is what is shown in place of a secret: send the secret itself"
    assert refused(declared, {"Password": "****", "A": "****"}) == {"#/inputs/Password": detail}


def test_the_mask_of_a_secret_that_is_there_stands_for_its_value() -> None:
    declared = [parameter("Password", no_echo=True), parameter("A")]
    change = {"Password": "****", "A": "****"}

    values, stays = inputs.merged(declared, {"A": "a"}, {"Password"}, change)

    assert (values, stays) == ({"A": "****"}, frozenset({"Password"}))


@pytest.mark.parametrize(
    "pattern", [r"\p{javaLowerCase}+", "[^a[b]]+", "(", "(?x)[ a ]", "a{3}{2}", "(?iu)é"]
)
def test_a_pattern_that_is_not_understood_is_left_to_cloudformation(pattern: str) -> None:
    declared = [parameter(allowed_pattern=pattern)]

    assert inputs.checked(declared, {"X": "1"}) == {"X": "1"}


@given(
    st.dictionaries(
        st.sampled_from("ABC"),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.lists(st.text() | st.integers()),
    )
)
def test_any_value_is_text_or_refused(given: dict[str, Any]) -> None:
    declared = [
        parameter("A", default=""),
        parameter("B", "List<Number>", default="1"),
        parameter("C", "Number", min_value="0", allowed_values=["1", "x"], default="1"),
    ]
    try:
        found = inputs.checked(declared, given)
    except Invalid as error:
        assert all(each.pointer[:-1] == "#/inputs/" for each in error.fields)
    else:
        assert set(found) == set(given)
        assert all(isinstance(each, str) for each in found.values())


@pytest.mark.parametrize("name", NOT_PUBLIC)
@pytest.mark.parametrize("of", ["String", "List<String>", "AWS::EC2::Image::Id"])
def test_an_input_names_no_parameter_but_the_public_ones_of_aws(of: str, name: str) -> None:
    image = parameter(type=f"AWS::SSM::Parameter::Value<{of}>", default="/aws/service/image")

    assert inputs.checked([image], {"X": "/aws/service/other"}) == {"X": "/aws/service/other"}
    assert set(refused([image], {"X": name})) == {"#/inputs/X"}
    for other in ([name], ["/aws/service/a", name], 5, True):
        assert set(refused([image], {"X": other})) == {"#/inputs/X"}


def test_a_value_of_an_older_version_is_not_read_as_a_name() -> None:
    """It was a text, perhaps a secret, when it was given."""
    read = [parameter(type="AWS::SSM::Parameter::Value<String>", default="/aws/service/image")]

    for values, secret in (({"X": "/payroll"}, set[str]()), ({}, {"X"})):
        with pytest.raises(Invalid) as error:
            inputs.merged(read, values, secret, {})
        assert [each.pointer for each in error.value.fields] == ["#/inputs/X"]


def test_constraints_are_those_of_the_name_and_not_of_what_it_stands_for() -> None:
    names = ["/aws/service/a", "/aws/service/b"]
    read = parameter(type="AWS::SSM::Parameter::Value<List<String>>", allowed_values=names)

    assert inputs.checked([read], {"X": names[1]}) == {"X": names[1]}
    assert set(refused([read], {"X": "/aws/service/c"})) == {"#/inputs/X"}
