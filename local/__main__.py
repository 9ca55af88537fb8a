"""`make local`: run the platform on this machine and deploy each saved change until Ctrl-C."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from local import parameters, watch
from local.data import BEGIN_EMPTY, EVERY, Data, Unusable
from local.package import Broken
from local.platform import EmulatorDied, Platform
from local.sockets import PortInUse
from local.stack import StackFailed

POLL = 0.4  # seconds
STARTED = time.monotonic()

READY = """
  pages  {url}/console (begin here)
  API    {url}
  docs   {url}/docs
  AWS    {endpoint}, with the key of this run: . {key}
  apps   {environments} (where environments answer)
  try    curl {url}/api/v1/auth/register -H 'Content-Type: application/json' \\
              -d '{{"email": "you@example.com", "password": "correct horse battery"}}'

  Saved changes are deployed within seconds. LOGS=1 shows all logs. Ctrl-C stops everything.
  {kept}
"""
KEPT = "The data is kept in .slipway/data for the next run. FRESH=1 begins empty."
NOT_KEPT = "The data is kept nowhere (KEEP=0)."


class Stopped(BaseException):
    """Ctrl-C, or SIGTERM."""


def say(line: str) -> None:
    print(f"{time.monotonic() - STARTED:6.1f} s  {line}", flush=True)


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def on_signal(number: int, frame: FrameType | None) -> None:
    for every in (signal.SIGINT, signal.SIGTERM):
        signal.signal(every, signal.SIG_IGN)  # the first signal is enough
    raise Stopped


def ready(platform: Platform) -> str:
    key = (platform.run_dir / "aws.env").relative_to(platform.root)
    return READY.format(
        url=platform.url,
        endpoint=platform.endpoint,
        environments=platform.environments_url,
        key=key,
        kept=KEPT if platform.data else NOT_KEPT,
    )


def data_from(environ: Mapping[str, str], root: Path) -> Data | None:
    """The data that FRESH and KEEP ask for. ValueError unless KEEP is a number of seconds."""
    every = float(environ.get("KEEP") or EVERY)
    if not 0 <= every < float("inf"):
        raise ValueError(every)
    fresh = environ.get("FRESH", "0") not in ("", "0")
    return Data(root / ".slipway", fresh=fresh, every=every, say=say) if every else None


def port_from(text: str) -> int:
    """PORT's value. ValueError unless it is a port number."""
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError(text)
    return port


def settled(platform: Platform) -> watch.Snapshot:
    time.sleep(POLL / 4)
    return watch.snapshot(platform.root)


def follow(platform: Platform) -> None:
    """Deploy every saved change to the running stack."""
    before = watch.snapshot(platform.root)
    while True:
        time.sleep(POLL)
        platform.check()
        after = watch.snapshot(platform.root)
        if not (paths := watch.changed(before, after)):
            continue
        while after != (later := settled(platform)):  # an editor may still be writing
            after = later
        before = after
        started = time.monotonic()
        names = ", ".join(str(path.relative_to(platform.root)) for path in paths[:3])
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        try:
            platform.update()
        except (Broken, StackFailed) as error:
            say(f"{names}{more}: not deployed, the previous version still runs\n{error}")
        except Exception:
            platform.check()  # a dead emulator is the more useful error
            raise
        else:
            say(f"{names}{more}: deployed after {time.monotonic() - started:.1f} s")


def main() -> int:
    try:
        port = port_from(os.environ.get("PORT", "8000"))
    except ValueError:
        return fail(f"PORT must be a number from 1 to 65535, not {os.environ['PORT']!r}")
    try:
        given = parameters.parse(os.environ.get("PARAMETERS", ""))
    except parameters.Malformed as error:
        return fail(f"PARAMETERS: {error}")
    try:
        data = data_from(os.environ, Path.cwd())
    except ValueError:
        return fail(f"KEEP must be the seconds between saves, or 0, not {os.environ['KEEP']!r}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    logs = os.environ.get("LOGS") == "1"
    platform = Platform(Path.cwd(), port, given, say=say, quiet=False, logs=logs, data=data)
    try:
        platform.start()
        say("ready")
        print(ready(platform), flush=True)
        follow(platform)
    except Stopped:
        return 0
    except PortInUse:
        return fail(f"port {port} is in use; choose another: PORT={port % 65535 + 1} make local")
    except StackFailed as error:
        continues = data is not None and data.found is not None
        hint = f"\nThe kept data is as it was. {BEGIN_EMPTY}" if continues else ""
        return fail(f"{error}{hint}")
    except (Broken, EmulatorDied, Unusable) as error:
        return fail(str(error))
    finally:
        platform.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
