"""Sources -> artifacts (package.py, watch.py)."""

import io
import zipfile
from pathlib import Path

import pytest

from local import package, watch
from tests.support.local.platform import copy_of_app


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return copy_of_app(tmp_path)


def test_the_same_sources_make_the_same_package(app: Path) -> None:
    before = package.build(app, b"")
    (app / "functions" / "echo" / "__pycache__").mkdir()
    (app / "functions" / "echo" / "__pycache__" / "app.pyc").write_bytes(b"x")
    (app / "functions" / "echo" / ".app.py.swp").write_bytes(b"x")
    (app / "functions" / "echo" / "app.py").touch()

    after = package.build(app, b"")

    assert before == after


def test_the_layer_is_its_packages_under_python(app: Path) -> None:
    (app / "layers" / "core" / "slipway.egg-info").mkdir()

    built = package.build(app, b"")

    uri = built.template["Resources"]["CoreLayer"]["Properties"]["ContentUri"]
    with zipfile.ZipFile(io.BytesIO(built.artifacts[uri["Key"]])) as layer:
        assert layer.namelist() == ["python/fixturelib/__init__.py"]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("template.yaml", "a: [", "template.yaml: while parsing"),
        ("template.yaml", "- a", "template.yaml: not a mapping"),
        ("statemachines/greet.asl.yaml", "StartAt: Nowhere", "greet.asl.yaml: StartAt"),
        ("functions/echo/app.py", "x = (", "echo/app.py:1: "),
        ("functions/echo/app.py", "x = '\0'", "echo/app.py"),
    ],
)
def test_a_function_that_cannot_be_packaged_is_reported(
    app: Path, file: str, content: str, said: str
) -> None:
    (app / file).write_text(content)

    with pytest.raises(package.Broken) as error:
        package.build(app, b"")

    assert said in str(error.value)


def test_an_included_file_is_an_artifact(app: Path) -> None:
    include(app, "policies/may.yaml")
    (app / "policies").mkdir()
    (app / "policies/may.yaml").write_text("Statement: []")

    built = package.build(app, b"")

    document = built.template["Resources"]["May"]["Properties"]["PolicyDocument"]
    bucket, _, key = document["Fn::Transform"]["Parameters"]["Location"][5:].partition("/")
    assert (bucket, built.artifacts[key]) == (package.BUCKET, b"Statement: []")


def test_a_file_that_is_included_and_missing_is_reported(app: Path) -> None:
    include(app, "policies/none.yaml")

    with pytest.raises(package.Broken, match=r"May: no such path: policies/none\.yaml"):
        package.build(app, b"")


def include(app: Path, location: str) -> None:
    """Add a policy to the template whose document is this file."""
    path = app / "template.yaml"
    at = "\nResources:\n"
    document = f"{{Fn::Transform: {{Name: AWS::Include, Parameters: {{Location: {location}}}}}}}"
    resource = f"  May: {{Type: X, Properties: {{PolicyDocument: {document}}}}}\n"
    assert path.read_text().count(at) == 1
    path.write_text(path.read_text().replace(at, at + resource))


def test_a_missing_folder_is_reported(app: Path) -> None:
    (app / "functions" / "echo").rename(app / "functions" / "other")

    with pytest.raises(package.Broken, match="EchoFunction: no such path: functions/echo"):
        package.build(app, b"")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_the_layers_dependencies_are_installed_once(app: Path, cache: Path, tmp_path: Path) -> None:
    wheel, about = tmp_path / "thing-1.0-py3-none-any.whl", "thing-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("thing.py", "x = 1")
        files.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        files.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        files.writestr(f"{about}/RECORD", "")
    (app / "layers" / "core" / "requirements.txt").write_text(str(wheel))
    said: list[str] = []

    first = package.layer_dependencies(app, cache, tmp_path, said.append)
    second = package.layer_dependencies(app, cache, tmp_path, said.append)

    assert first == second
    assert len(said) == 1
    with zipfile.ZipFile(io.BytesIO(first)) as layer:
        assert "python/thing.py" in layer.namelist()
        assert any(name.endswith(".pyc") for name in layer.namelist())
    assert len(list(cache.iterdir())) == 1


def test_a_dependency_that_cannot_be_installed_is_reported(
    app: Path, cache: Path, tmp_path: Path
) -> None:
    (app / "layers" / "core" / "requirements.txt").write_text(str(tmp_path / "none.whl"))

    with pytest.raises(package.Broken, match=r"none\.whl"):
        package.layer_dependencies(app, cache, tmp_path, lambda line: None)

    assert list(cache.iterdir()) == []


def test_the_watch_sees_sources_and_nothing_else(app: Path) -> None:
    before = watch.snapshot(app)
    (app / "functions" / "echo" / "__pycache__").mkdir()
    (app / "functions" / "echo" / "__pycache__" / "app.pyc").touch()
    (app / "functions" / "echo" / "app.py~").touch()
    assert watch.changed(before, watch.snapshot(app)) == []

    (app / "functions" / "echo" / "new.py").touch()
    (app / "template.yaml").unlink()

    changed = watch.changed(before, watch.snapshot(app))
    assert [path.name for path in changed] == ["new.py", "template.yaml"]
