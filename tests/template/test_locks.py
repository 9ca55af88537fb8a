"""The installed packages are the locked ones, from every registry that a machine may use."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.support.repository import ROOT, files, short, template

LOCKS = [
    ROOT / name
    for name in (
        "requirements.lock",
        "local/sam.lock",
        ".ci/audit.lock",
        "layers/core/requirements.lock",
        "benchmarks/requirements.lock",
        "tests/browser/requirements.lock",
        "tests/support/clients/requirements.lock",
    )
]
NPM_LOCK = ROOT / "tests/support/clients/package-lock.json"
every_lock = pytest.mark.parametrize("path", LOCKS, ids=short)

# Written so that this file does not name them itself.
REGISTRY = re.compile(r"\b(py" + r"pi|python" + r"hosted|npm" + r"js)\.(org|com)\b")
MACHINE = re.compile(r"(?<![\w.~}])/(root|home|Users|work|tmp/w|opt/(py" + r"pi|wheels))(/|\b)")


def pinned(path: Path) -> dict[str, str]:
    """Name -> version; of a package that has one version for each Python, the last."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.M))


def normal(requirement: str) -> str:
    """The package's name in a requirement, as the locks write it."""
    return re.split(r"[\[<>=~! ;]", requirement)[0].lower().replace("_", "-")


@every_lock
def test_every_package_is_pinned_and_hashed(path: Path) -> None:
    lines = re.sub(r"\\\n\s*", "", path.read_text()).splitlines()
    packages = [line for line in lines if line and not line.lstrip().startswith("#")]

    for package in packages:
        assert re.match(r"[a-z0-9-]+==\S+ ", package), package[:80]
        assert package.count("--hash=sha256:") >= 1, package[:80]
    assert packages


@every_lock
def test_no_lock_names_a_registry(path: Path) -> None:
    assert "://" not in path.read_text()
    assert not re.search(r"--(index|extra-index|find)", path.read_text())


def test_the_lock_of_npm_pins_hashes_and_names_no_registry() -> None:
    lock = json.loads(NPM_LOCK.read_text())
    wanted = json.loads(NPM_LOCK.with_name("package.json").read_text())["devDependencies"]

    packages = {name: each for name, each in lock["packages"].items() if name}
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
    assert lock["packages"][""]["devDependencies"] == wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version


@every_lock
def test_every_lock_names_the_command_that_makes_it(path: Path) -> None:
    assert "make lock" in path.read_text().splitlines()[1]


def test_every_requirement_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = [
        line
        for line in (ROOT / "layers/core/requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert {normal(each) for each in runtime} <= set(pinned(ROOT / "layers/core/requirements.lock"))
    assert {normal(each) for each in runtime + project["dependency-groups"]["dev"]} <= set(
        pinned(ROOT / "requirements.lock")
    )
    assert {normal(each) for each in project["dependency-groups"]["sam"]} <= set(
        pinned(ROOT / "local/sam.lock")
    )
    assert {normal(each) for each in project["dependency-groups"]["clients"]} <= set(
        pinned(ROOT / "tests/support/clients/requirements.lock")
    )
    assert {normal(each) for each in runtime + project["dependency-groups"]["bench"]} <= set(
        pinned(ROOT / "benchmarks/requirements.lock")
    )


def test_the_runtime_dependencies_are_listed_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert "dependencies" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"] == {
        "file": ["layers/core/requirements.txt"]
    }


def test_lambda_runs_the_versions_that_the_tests_ran() -> None:
    layer = pinned(ROOT / "layers/core/requirements.lock")

    assert layer.items() <= pinned(ROOT / "requirements.lock").items()
    # The Lambda runtime has it.
    assert "boto3" not in layer


def test_the_layer_is_built_for_the_runtime_and_architecture_of_the_template() -> None:
    parameters = template()["Parameters"]
    layer = template()["Resources"]["CoreLayer"]

    for path in (ROOT / "layers/core/Makefile", ROOT / "Makefile"):
        built_for = dict(re.findall(r"^(\w+) +\?= (\S+)$", path.read_text(), re.M))
        assert built_for["RUNTIME"] == parameters["PythonRuntime"]["Default"]
        assert built_for["ARCHITECTURE"] == parameters["Architecture"]["Default"]
    assert layer["Metadata"] == {
        "BuildMethod": "makefile",
        "BuildArchitecture": {"Ref": "Architecture"},
    }
    assert layer["Properties"]["ContentUri"].rstrip("/") == "layers/core"


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{short(path)}: {match[0]}"
            for pattern in (REGISTRY, MACHINE)
            for match in pattern.finditer(text)
        ]

    assert found == []
