"""python -m slipway.importers.proton BUNDLE: turns a Proton bundle into a template and a report.

0  everything was carried over
1  something was not; the report says what, and the template is written unless with --strict
2  the bundle is broken, or the command is wrong
3  the platform refused the template
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from slipway.importers.proton import importing
from slipway.importers.proton.publishing import NotPublished, Platform
from slipway.importers.proton.report import Broken, Report

CARRIED, LOST, BROKEN, NOT_PUBLISHED = range(4)
_TOKEN = "SLIPWAY_TOKEN"


def main(arguments: Sequence[str]) -> int:
    asked = _asked(arguments)
    try:
        found = importing.read(asked.bundle)
    except Broken as broken:
        print(f"{asked.bundle}: {broken}", file=sys.stderr)
        return BROKEN
    _print(found.report)
    lost = bool(found.report.lost)
    if lost and asked.strict:
        print("Nothing is written: --strict.", file=sys.stderr)
        return LOST
    if asked.output is not None:
        try:
            asked.output.mkdir(parents=True, exist_ok=True)
            (asked.output / "template.yaml").write_text(found.body)
        except OSError as error:
            print(f"{asked.output}: {error.strerror}", file=sys.stderr)
            return BROKEN
    elif asked.publish_to is None:
        sys.stdout.write(found.body)
    if asked.publish_to is not None:
        try:
            draft = Platform(asked.publish_to, os.environ[_TOKEN]).publish(asked.name, found.body)
        except NotPublished as refused:
            print(refused, file=sys.stderr)
            return NOT_PUBLISHED
        print(f"Draft: {draft}", file=sys.stderr)
    return LOST if lost else CARRIED


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments. Exits with 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        "python -m slipway.importers.proton",
        description="Turn a bundle of AWS Proton into a template of Slipway.",
        epilog=f"The token for --publish-to is read from the environment variable {_TOKEN}.",
    )
    parser.add_argument("bundle", type=Path, help="a folder, or a .tar.gz")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write DIR/template.yaml")
    parser.add_argument("--strict", action="store_true", help="all of it, or nothing")
    parser.add_argument("--publish-to", metavar="URL", help="add it to a platform, as a draft")
    parser.add_argument("--name", help="the template's name there")
    asked = parser.parse_args(arguments)
    if (asked.publish_to is None) != (asked.name is None):
        parser.error("--publish-to and --name belong together")
    if asked.publish_to is not None and not os.environ.get(_TOKEN):
        parser.error(f"--publish-to needs a token in {_TOKEN}")
    return asked


def _print(report: Report) -> None:
    for title, entries in (("Not carried over", report.lost), ("To be known", report.notes)):
        if entries:
            print(f"{title}:", *(f"  {each}" for each in entries), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
