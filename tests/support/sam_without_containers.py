"""SAM CLI, whole but for containers: each function runs under the RIE as a process of this machine.

    .venv-sam/bin/python sam_without_containers.py SETTINGS.json local start-api …

SAM CLI mounts its runtime interface emulator (RIE) into a container of Lambda's image and talks to
it over HTTP; here the same program runs beside it, with Lambda's own runtime client (awslambdaric)
below it. The command line, the template, the routes, the events, the environment variables, the
reuse of containers and the answers are SAM CLI's own.

The settings are a JSON object: `python`, the interpreter of the functions; `runtime`, a folder with
what Lambda's image has in /var/runtime; `logs`, a folder for what the functions write.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import samcli
import samcli.commands.local.cli_common.invoke_context as invoke_context
import samcli.lib.utils.file_observer as file_observer
import samcli.local.lambdafn.runtime as lambdafn
from samcli.cli.main import cli
from samcli.local.docker.container import Container
from samcli.local.docker.utils import find_free_port

SETTINGS: dict[str, str] = json.loads(Path(sys.argv[1]).read_text())
_PROCESSOR = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
RIE = Path(samcli.__file__).with_name("local") / "rapid" / f"aws-lambda-rie-{_PROCESSOR}"
# As in Lambda's image for Python.
OF_THE_IMAGE = {"LANG": "en_US.UTF-8", "TZ": ":/etc/localtime", "PATH": os.environ["PATH"]}


class Process(Container):  # type: ignore[misc]
    """In the place of samcli's LambdaContainer: the RIE and the function, without a container."""

    id: str | None

    def __init__(
        self,
        runtime: str,
        image_uri: str | None,
        handler: str,
        package_type: str,
        image_config: Any,
        code: str,
        layers: list[Any],
        images: Any,
        architecture: str,
        *,
        env_vars: dict[str, str],
        container_host: str,
        container_host_interface: str,
        function_full_path: str,
        **_: Any,
    ) -> None:
        super().__init__(
            "no image",
            [],
            code,
            code,
            env_vars=env_vars,
            container_host=container_host,
            container_host_interface=container_host_interface,
        )
        self.name, self.handler = function_full_path, handler
        self.path = [code, *(f"{layer.codeuri}/python" for layer in layers), SETTINGS["runtime"]]
        self.process: subprocess.Popen[bytes] | None = None

    def create(self, context: Any) -> None:
        self.id = self.name
        self._concurrency_semaphore = threading.Semaphore(1)

    def start(self, input_data: Any = None) -> None:
        loopback = self._container_host_interface
        own = {"LAMBDA_TASK_ROOT": self._host_dir, "PYTHONPATH": os.pathsep.join(self.path)}
        # The code is read-only in a container. A change to it would restart the function.
        own["PYTHONDONTWRITEBYTECODE"] = "1"
        python = [SETTINGS["python"], "-S", "-s", "-m", "awslambdaric", self.handler]
        rie = [str(RIE), "--log-level", "error"]
        rie += ["--runtime-interface-emulator-address", f"{loopback}:{self.rapid_port_host}"]
        rie += ["--runtime-api-address", f"{loopback}:{find_free_port(loopback)}"]
        with Path(SETTINGS["logs"], self.name).open("ab") as log:
            self.process = subprocess.Popen(
                [*rie, *python],
                cwd=self._host_dir,
                env=OF_THE_IMAGE | self._env_vars | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        atexit.register(self.delete)

    def is_created(self) -> bool:
        return self.id is not None

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start_logs_thread_if_not_alive(self, stderr: Any) -> None:
        """The logs are in files; nothing is to be waited for."""
        self._logs_thread_event = threading.Event()
        self._logs_thread_event.set()

    def stop(self, timeout: int = 3) -> None:
        self.delete()

    def delete(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.id = None


class Manager:
    """In the place of samcli's ContainerManager."""

    def create(self, container: Process, context: Any) -> None:
        container.create(context)

    def run(self, container: Process, context: Any, input_data: Any = None) -> None:
        container.start(input_data)

    def stop(self, container: Process) -> None:
        container.delete()


class NoImages:
    """In the place of samcli's ImageObserver, which asks the engine for changed images."""

    def __init__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


if __name__ == "__main__":
    file_observer.ImageObserver = NoImages
    lambdafn.LambdaContainer = Process
    invoke_context.LambdaImage = lambda *_, **__: None
    invoke_context.InvokeContext._get_container_manager = lambda *_: Manager()
    cli(sys.argv[2:], prog_name="sam")
