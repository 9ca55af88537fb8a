"""The check of the locked packages for known vulnerabilities fails only for what it found."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from tests.support.repository import ROOT, files, short

VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}],
}
SOUND = {"name": "pyyaml", "version": "6.0.3", "vulns": []}
UNKNOWN = {"name": "boto3", "version": "1", "skip_reason": "not found"}


@pytest.fixture
def audit() -> ModuleType:
    path = ROOT / ".ci" / "audit_dependencies.py"
    spec = importlib.util.spec_from_file_location("audit_dependencies", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_lock_is_audited(audit: ModuleType) -> None:
    locks = {short(path) for path in files() if path.suffix == ".lock"}

    assert set(audit.LOCKS) == locks


def test_a_known_vulnerability_fails_and_names_the_fix(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "advisories", lambda lock: [SOUND, VULNERABLE])

    assert audit.main() == 1
    assert "jinja2 3.1.0: PYSEC-1, fixed in 3.1.6" in capsys.readouterr().out


def test_packages_that_could_not_be_looked_up_are_counted_and_pass(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "advisories", lambda lock: [SOUND, UNKNOWN])

    assert audit.main() == 0
    assert "1 of 2 packages looked up" in capsys.readouterr().out


def test_advisories_out_of_reach_are_said_so_and_pass(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "advisories", lambda lock: None)

    assert audit.main() == 0
    assert "cannot be reached" in capsys.readouterr().out
