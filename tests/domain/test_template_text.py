"""The texts that a value of a template can become."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain.template_text import UNKNOWN, Part, Reader

MAPPINGS = {"Sizes": {"small": {"n": "1", "l": ["a", "b"]}, "large": {"n": "2", "l": ["c", "d"]}}}
READER = Reader(frozenset({"P", "Artifact"}), MAPPINGS)
P = Part("parameter", "P")
STACK = Part("pseudo", "AWS::StackName")


def text(value: str) -> Part:
    return Part("text", value)


@pytest.mark.parametrize(
    "value,texts",
    [
        ("x", [(text("x"),)]),
        ("", [()]),
        ({"Ref": "P"}, [(P,)]),
        ({"Ref": "Q"}, [(Part("resource", "Q"),)]),
        ({"Ref": "AWS::NoValue"}, []),
        ({"Fn::GetAtt": ["Q", "Arn"]}, [(Part("resource", "Q", "Arn"),)]),
        ({"Fn::GetAtt": "Q.Arn"}, [(Part("resource", "Q", "Arn"),)]),
        ({"Fn::GetAtt": ["Q", {"Ref": "P"}]}, [UNKNOWN]),
        (
            {"Fn::Sub": "a ${ AWS::StackName }-${Q.Arn}${!P}"},
            [(text("a "), STACK, text("-"), Part("resource", "Q", "Arn"), text("${P}"))],
        ),
        ({"Fn::Sub": ["${x}-${P}", {"x": {"Ref": "P"}}]}, [(P, text("-"), P)]),
        ({"Fn::Sub": ["${P}", {"P": "own"}]}, [(text("own"),)]),
        ({"Fn::Join": ["-", ["a", {"Ref": "AWS::NoValue"}, "b"]]}, [(text("a-b"),)]),
        ({"Fn::Join": ["", {"Fn::Split": ["|", "a|b"]}]}, [(text("ab"),)]),
        ({"Fn::Join": ["", {"Ref": "P"}]}, [UNKNOWN]),
        ({"Fn::If": ["C", "a", {"Ref": "P"}]}, [(text("a"),), (P,)]),
        ({"Fn::If": ["C", "a", {"Ref": "AWS::NoValue"}]}, [(text("a"),)]),
        ({"Fn::FindInMap": ["Sizes", "small", "n"]}, [(text("1"),)]),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "P"}, "n"]}, [(text("1"),), (text("2"),)]),
        ({"Fn::FindInMap": ["Sizes", "none", "n"]}, [UNKNOWN]),
        (
            {"Fn::FindInMap": ["Sizes", "none", "n", {"DefaultValue": "3"}]},
            [(text("3"),)],
        ),
        (
            {"Fn::Select": ["1", {"Fn::FindInMap": ["Sizes", {"Ref": "P"}, "l"]}]},
            [(text("b"),), (text("d"),)],
        ),
        ({"Fn::Select": ["1", ["a", "b"]]}, [(text("b"),)]),
        ({"Fn::Select": ["2", ["a", "b"]]}, [UNKNOWN]),
        ({"Fn::Select": [{"Ref": "P"}, ["a", "b"]]}, [UNKNOWN]),
        (
            {"Fn::Select": ["2", {"Fn::Split": ["/", {"Ref": "Artifact"}]}]},
            [(Part("piece", "Artifact", "/2"),)],
        ),
        ({"Fn::Select": ["0", {"Fn::Split": [":", {"Fn::GetAtt": ["Q", "Arn"]}]}]}, [UNKNOWN]),
        ({"Fn::ImportValue": "x"}, [UNKNOWN]),
        ({"Fn::Base64": "x"}, [UNKNOWN]),
        ({"a": "b"}, [UNKNOWN]),
        (None, [UNKNOWN]),
        (["a"], [UNKNOWN]),
    ],
)
def test_an_expression_is_carried_out_on_symbols(value: Any, texts: list[Any]) -> None:
    assert READER.texts(value) == texts


def test_a_value_with_too_many_or_too_long_texts_is_unknown() -> None:
    choice: Any = "x"
    for n in range(40):
        choice = {"Fn::If": ["C", f"{n}", choice]}

    assert UNKNOWN in READER.texts(choice)
    assert READER.texts({"Fn::Join": ["", [choice, choice, choice]]}) == [UNKNOWN]
    assert READER.texts("x" * 3000) == [UNKNOWN]
    assert READER.texts({"Fn::Sub": "${P}" * 100}) == [UNKNOWN]


def test_nested_substitutions_do_not_multiply() -> None:
    value: Any = "xx"
    for _ in range(45):
        value = {"Fn::Sub": ["${a}${a}${a}${a}", {"a": value}]}

    assert READER.texts(value) == [UNKNOWN]
