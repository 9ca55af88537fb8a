"""Look up known vulnerabilities of every locked package, where the advisories can be reached."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = [
    "layers/core/requirements.lock",
    "requirements.lock",
    "local/sam.lock",
    "benchmarks/requirements.lock",
    ".ci/audit.lock",
    "tests/browser/requirements.lock",
    "tests/support/clients/requirements.lock",
]


def main() -> int:
    """Print what is known of each lock's packages. 1 if any of them is vulnerable, otherwise 0.

    A package whose advisories cannot be read is counted, and does not fail the check: a machine
    without that access could not pass it otherwise.
    """
    vulnerable = False
    for lock in LOCKS:
        found = advisories(lock)
        if found is None:
            print(f"{lock}: not checked, because the advisories cannot be reached")
            continue
        unknown = sum("skip_reason" in each for each in found)
        print(f"{lock}: {len(found) - unknown} of {len(found)} packages looked up")
        for package in found:
            for each in package.get("vulns", []):
                vulnerable = True
                fixed = ", ".join(each["fix_versions"]) or "none"
                print(f"  {package['name']} {package['version']}: {each['id']}, fixed in {fixed}")
    return int(vulnerable)


def advisories(lock: str) -> list[dict[str, object]] | None:
    """pip-audit's `{name, version, vulns | skip_reason}` of each package; None if it got none."""
    audit = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    options = ["--format", "json", "--progress-spinner", "off", "--requirement", lock]
    done = subprocess.run(audit + options, cwd=ROOT, capture_output=True, text=True)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        return None


if __name__ == "__main__":
    sys.exit(main())
