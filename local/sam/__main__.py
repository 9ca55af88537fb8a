"""`make sam-local`: run SAM CLI in front of the platform until Ctrl-C."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

from local import package, parameters
from local.__main__ import POLL, Stopped, fail, on_signal, port_from, say
from local.package import Broken
from local.platform import EmulatorDied, Platform
from local.sam import build, front
from local.sockets import PortInUse
from local.stack import StackFailed

READY = """
  API    http://127.0.0.1:{port}   the first request to each function starts its container
  docs   http://127.0.0.1:{port}/docs
  AWS    {endpoint}{beyond}
         with the key of this run: . {key}

  A saved change to functions/api/ is live at once; for any other, start again. Ctrl-C ends all.
"""
BEYOND = """
         and {endpoint}, where this machine's containers reach it"""


class Settings:
    """The developer's settings from the environment. Raises ValueError with the reason."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sam = root / ".venv-sam" / "bin"
        try:
            self.port = port_from(os.environ.get("PORT") or "3000")
        except ValueError:
            port = os.environ["PORT"]
            raise ValueError(f"PORT must be a number from 1 to 65535, not {port!r}") from None
        try:
            self.parameters = parameters.parse(os.environ.get("PARAMETERS", ""))
        except parameters.Malformed as error:
            raise ValueError(f"PARAMETERS: {error}") from None
        self.host = os.environ.get("HOST", "")
        if self.host:
            _check_host(self.host)
        self.more = front.arguments(os.environ.get("ARGS", ""))

    def of_functions(self) -> dict[str, str]:
        """The parameters for building and running the functions."""
        declared = package.load_yaml(self.root / "template.yaml")["Parameters"]
        return {
            "PythonRuntime": os.environ.get("RUNTIME") or declared["PythonRuntime"]["Default"],
            "Architecture": os.environ.get("ARCHITECTURE") or build.processor(),
            **self.parameters,
        }


def _check_host(host: str) -> None:
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise ValueError(f"HOST={host} is no address of this machine: {error}") from None


def _serve(settings: Settings, platform: Platform, address: str) -> int:
    """Run SAM CLI in front of the platform. Returns its exit status if it ends."""
    given = settings.of_functions()
    folder = build.built(settings.root, platform.cache, settings.sam, given, say)
    platform.start()
    endpoint = platform.endpoint_at(address)
    files = front.prepare(platform, folder, endpoint)
    say("starting SAM CLI")
    beyond = BEYOND.format(endpoint=endpoint) if platform.beyond else ""
    key = (platform.run_dir / "aws.env").relative_to(settings.root)
    text = READY.format(port=settings.port, endpoint=platform.endpoint, beyond=beyond, key=key)
    print(text, flush=True)
    command = front.command(settings.sam, files, settings.port, given, settings.more)
    process = front.started(command, settings.sam)
    try:
        while process.poll() is None:
            platform.check()
            time.sleep(POLL)
    finally:
        if process.poll() is None:
            say("waiting for SAM CLI to remove its containers")
        front.ended(process)
    return fail(f"SAM CLI ended by itself, with status {process.returncode}")


def main() -> int:
    try:
        settings = Settings(Path.cwd())
        engine = front.engine(settings.sam)
        listen, address = front.addresses(engine, settings.host)
    except (ValueError, front.NoEngine) as error:
        return fail(str(error))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    logs = os.environ.get("LOGS") == "1"
    # SAM CLI tells functions no port, so they build links from this.
    given = {"PublicUrl": f"http://127.0.0.1:{settings.port}", **settings.parameters}
    platform = Platform(
        settings.root, 0, given, say=say, quiet=False, logs=logs, beyond=listen, names=[address]
    )
    try:
        return _serve(settings, platform, address)
    except Stopped:
        return 0
    except PortInUse as error:
        return fail(f"port {error} is in use")
    except (Broken, StackFailed, EmulatorDied, build.BuildFailed) as error:
        return fail(str(error))
    finally:
        platform.stop()


if __name__ == "__main__":
    sys.exit(main())
