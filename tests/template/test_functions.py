"""A function is a folder with one app.py, used by the template under the folder's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.repository import (
    FUNCTIONS,
    camel,
    load_function,
    resources,
    running,
    short,
    template,
    transformed,
)

# Code that more than one function runs.
READERS = {"dispatch": ["Environments", "Deployments"]}

every_function = pytest.mark.parametrize(
    "folder", FUNCTIONS, ids=lambda folder: f"{folder.parent.name}/{folder.name}"
)


@every_function
def test_the_folder_has_one_python_file_with_a_handler(folder: Path) -> None:
    # A second file beside app.py would import on Lambda and fail in tests.
    assert [path.name for path in folder.rglob("*.py")] == ["app.py"]
    assert callable(load_function(folder).handler)


@every_function
def test_the_templates_function_is_named_after_its_folder(folder: Path) -> None:
    functions = resources("AWS::Serverless::Function")
    names = running(folder.name)

    # Dispatch runs once for each reader of the stream, and each has rights of its own.
    expected = [
        f"{camel(folder.name)}{reader}Function" for reader in READERS.get(folder.name, [""])
    ]
    assert names == expected
    for name in names:
        assert functions[name]["Properties"]["CodeUri"].rstrip("/") == short(folder)
        assert functions[name]["Metadata"] == {"SkipBuild": True}


def test_the_template_has_no_other_function() -> None:
    run = [name for folder in FUNCTIONS for name in running(folder.name)]

    assert sorted(resources("AWS::Serverless::Function")) == sorted(run) != []


def test_every_function_has_the_layer_the_runtime_and_the_architecture_of_the_parameters() -> None:
    common = template()["Globals"]["Function"]

    assert common["Handler"] == "app.handler"
    assert common["Runtime"] == {"Ref": "PythonRuntime"}
    assert common["Architectures"] == [{"Ref": "Architecture"}]
    assert common["Layers"] == [{"Ref": "CoreLayer"}]
    for name, function in resources("AWS::Serverless::Function").items():
        assert not {"Handler", "Runtime", "Architectures", "Layers"} & set(
            function["Properties"]
        ), name


def test_every_function_is_traced_and_its_logs_expire() -> None:
    kept = [
        name
        for name, group in transformed("AWS::Logs::LogGroup").items()
        if "RetentionInDays" in group["Properties"]
    ]

    for name, function in transformed("AWS::Lambda::Function").items():
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in kept, name
        # An HTTP API gives up after 30 s.
        events = [*running("dispatch"), *running("reconcile")]
        assert function["Properties"]["Timeout"] < 30 or name in events, name
