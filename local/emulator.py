"""The child process: the pinned emulator with our patches, and the API on its own port.

platform.py starts it as `python -m local.emulator FD FD FD [FD]` with bound sockets: AWS's, the
API's, that of environments and, if AWS is to listen beyond loopback, another one for AWS. It reads
commands in JSON lines from stdin and ends when stdin is closed, so that it never outlives its
parent. If its data is kept, it saves that before it ends.

    {"api": "<id of the HTTP API to serve>"}
"""

import asyncio
import concurrent.futures
import json
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from local import patches, saving, stores
from local.asgi import Message, Receive, Send
from local.aws_port import AwsPort
from local.browsers import Allowed
from local.gateway import Gateway
from local.saving import Saver

Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Front:
    """One ASGI application on three ports: the API's, that of environments, and AWS's for the rest.

    `by_port` has the first two.
    """

    def __init__(self, emulator: Any, aws: Application, by_port: Mapping[int, Application]) -> None:
        self.emulator, self.aws, self.by_port = emulator, aws, by_port
        self.requests = 0
        self.on_start: Callable[[], None] = lambda: None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            self.requests += 1
            await self.by_port.get(scope["server"][1], self.aws)(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """The part of the emulator's start that is needed; the rest uses Docker and opens ports."""
        from ministack.services import eventbridge, scheduler

        await receive()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(64))
        self.emulator._MAIN_LOOP = loop
        eventbridge.start_scheduler()
        scheduler.start_scheduler()
        self.on_start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


def stop(run_dir: Path, saver: Saver | None) -> None:
    """Save, end the workers, remove the run's files and exit, without waiting for threads."""
    from ministack.core import lambda_runtime

    if saver:
        saver.finish()
    for pool in list(lambda_runtime._workers.values()):
        for worker in list(pool):
            if worker._proc:
                worker._proc.kill()
    shutil.rmtree(run_dir, ignore_errors=True)
    os._exit(0)


def obey(
    loop: asyncio.AbstractEventLoop, gateway: Gateway, run_dir: Path, saver: Saver | None
) -> None:
    """Follow the commands on stdin until it is closed."""
    for line in sys.stdin:
        loop.call_soon_threadsafe(gateway.open, json.loads(line)["api"])
        if saver:
            saver.start()
    stop(run_dir, saver)


def kept(front: Front) -> Saver | None:
    """Load the data of the run before this one. Returns what saves it; None if nothing is kept."""
    if not (asked := os.environ.get("SLIPWAY_KEPT")):
        return None
    given = json.loads(asked)
    if given["state"]:
        saving.load(Path(given["state"]))
        front.on_start = stores.resume
    loop = asyncio.get_running_loop()
    return Saver(Path(given["folder"]), given["every"], given["lock"], loop, lambda: front.requests)


async def serve(fds: Sequence[str]) -> None:
    from hypercorn.asyncio import serve as hypercorn
    from hypercorn.config import Config
    from ministack import app

    config = Config()
    config.bind = [f"fd://{fd}" for fd in fds]
    config.keep_alive_timeout = 75
    config.include_server_header = False
    config.loglevel = "WARNING"
    allowed = Allowed.of(*json.loads(os.environ["SLIPWAY_ALLOWED"]))
    gateway = Gateway(allowed)
    by_port = {
        int(os.environ["SLIPWAY_PORT"]): gateway.platform,
        int(os.environ["SLIPWAY_ENVIRONMENTS_PORT"]): gateway.environments,
    }
    front = Front(app, AwsPort(app.app, allowed), by_port)
    saver = kept(front)
    run_dir = Path(os.environ["SLIPWAY_RUN_DIR"])
    loop = asyncio.get_running_loop()
    threading.Thread(target=obey, args=(loop, gateway, run_dir, saver), daemon=True).start()
    # A thread: this one is needed for the last save.
    end = threading.Thread(target=stop, args=(run_dir, saver), daemon=True)
    loop.add_signal_handler(signal.SIGTERM, end.start)
    forever = asyncio.Event().wait
    await hypercorn(front, config, shutdown_trigger=forever)  # type: ignore[arg-type]


def main() -> None:
    # The parent ends this process, by closing stdin. It also handles a Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the parent blocked them while it started us
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))
    os.umask(0o077)  # what it writes is for this user alone
    patches.install()
    asyncio.run(serve(sys.argv[1:]))


if __name__ == "__main__":
    main()
