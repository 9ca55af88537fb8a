"""python -m slipway.importers.proton BUNDLE: turns a Proton bundle into a template and a report.

Exit status:
0  everything was carried over
1  the report lists what was not carried over; the template is written unless --strict is given
2  the bundle or the command line is invalid
3  the platform refused the template
4  everything was carried over, but no environment may have what the report lists
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from slipway.errors import FieldError
from slipway.importers.proton import importing
from slipway.importers.proton.publishing import Platform, PublishError
from slipway.importers.proton.report import InvalidBundle, Report

SUCCESS, INCOMPLETE, INVALID, REFUSED, NOT_ALLOWED = range(5)
# The name of an environment variable.
_TOKEN = "SLIPWAY_TOKEN"  # nosec B105


def main(arguments: Sequence[str]) -> int:
    options = _arguments(arguments)
    try:
        found = importing.read(options.bundle)
    except InvalidBundle as broken:
        print(f"{options.bundle}: {broken}", file=sys.stderr)
        return INVALID
    _print(found.report, found.refused)
    losses = bool(found.report.losses)
    if losses and options.strict:
        print("Nothing is written, because --strict is given.", file=sys.stderr)
        return INCOMPLETE
    if options.output is not None:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            (options.output / "template.yaml").write_text(found.body)
        except OSError as error:
            print(f"{options.output}: {error.strerror}", file=sys.stderr)
            return INVALID
    elif options.publish_to is None:
        sys.stdout.write(found.body)
    if options.publish_to is not None:
        try:
            draft = Platform(options.publish_to, os.environ[_TOKEN]).publish(
                options.name, found.body
            )
        except PublishError as refused:
            print(refused, file=sys.stderr)
            return REFUSED
        print(f"Draft: {draft}", file=sys.stderr)
    return INCOMPLETE if losses else NOT_ALLOWED if found.refused else SUCCESS


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments. Exits with 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        "python -m slipway.importers.proton",
        description="Turn an AWS Proton bundle into a Slipway template.",
        epilog=f"The token for --publish-to is read from the environment variable {_TOKEN}.",
    )
    parser.add_argument("bundle", type=Path, help="a folder, or a .tar.gz")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write DIR/template.yaml")
    parser.add_argument(
        "--strict", action="store_true", help="write nothing unless everything is carried over"
    )
    parser.add_argument(
        "--publish-to", metavar="URL", help="add the template to a platform as a draft"
    )
    parser.add_argument("--name", help="the template's name on the platform")
    options = parser.parse_args(arguments)
    if (options.publish_to is None) != (options.name is None):
        parser.error("--publish-to and --name require each other")
    if options.publish_to is not None and not os.environ.get(_TOKEN):
        parser.error(f"--publish-to needs a token in {_TOKEN}")
    return options


def _print(report: Report, refused: Sequence[FieldError]) -> None:
    changes = [f"{each.pointer}: {each.detail}" for each in refused]
    for title, entries in (
        ("Not carried over", report.losses),
        ("Refused by the platform until it is changed", changes),
        ("Notes", report.notes),
    ):
        if entries:
            print(f"{title}:", *(f"  {each}" for each in entries), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
