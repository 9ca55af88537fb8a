"""`sam local start-api` in front of a running platform: its files, its command, its process."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local import package
from local.platform import REGION, Platform
from local.sam import variables
from local.stack import NAME

GRACE = 180.0  # seconds for SAM CLI to remove its containers: Podman took 10 for each
HOME = ("PATH", "HOME", "LANG", "TERM", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")


class NoEngine(Exception):
    """No container engine can be used. The message says what to do."""


class Files(NamedTuple):
    """SAM CLI's input: the template, and the file for `--env-vars`."""

    template: Path
    variables: Path


def prepare(platform: Platform, build: Path, endpoint: str) -> Files:
    """Write SAM CLI's files for the functions of a build, with the platform as their backend.

    `endpoint` is the URL of the platform's AWS for the functions.
    """
    cloudformation, functions = platform.client("cloudformation"), platform.client("lambda")
    found = {
        name: variables.found_by(configuration, endpoint, REGION, platform.key_of(configuration))
        for name, configuration in variables.deployed(cloudformation, functions, NAME).items()
    }
    template = package.load_yaml(build / "template.yaml")
    return Files(
        platform.write("sam-template.json", variables.naming_all(template, found, build)),
        platform.write("sam-variables.json", found),
    )


def overrides(parameters: Mapping[str, str]) -> list[str]:
    """The stack's parameters in SAM CLI's format."""
    return ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]


def command(
    sam: Path, files: Files, port: int, parameters: Mapping[str, str], more: Iterable[str] = ()
) -> list[str]:
    """SAM CLI's command line. `more` are the developer's further arguments."""
    return [
        str(sam / "sam"),
        *("local", "start-api", "--port", str(port), "--region", REGION),
        *("--template", str(files.template), "--env-vars", str(files.variables)),
        # Without it every request starts a container.
        *("--warm-containers", "LAZY"),
        # A local image is not compared with the registry's; a missing one is pulled.
        "--skip-pull-image",
        *overrides(parameters),
        *more,
    ]


def environment(sam: Path) -> dict[str, str]:
    """SAM CLI's environment, without the developer's AWS settings."""
    of_engine = [
        name for name in os.environ if name.startswith(("DOCKER_", "SAM_CLI_", "CONTAINER"))
    ]
    mine = {name: os.environ[name] for name in (*HOME, *of_engine) if name in os.environ}
    return {
        # An engine without image layers takes a minute for a container's first start.
        "SAM_CLI_CONTAINER_CONNECTION_TIMEOUT": "90",
        **mine,
        "PATH": f"{sam}{os.pathsep}{mine['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def started(arguments: list[str], sam: Path) -> subprocess.Popen[bytes]:
    """Start SAM CLI in its own process group, so that only `ended` passes a Ctrl-C on."""
    return subprocess.Popen(arguments, env=environment(sam), start_new_session=True)


def ended(process: subprocess.Popen[bytes]) -> None:
    """Let SAM CLI remove its containers and end; kill it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            # A process that did not start a group of its own is killed alone.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                process.kill()
            process.wait()


def engine(sam: Path) -> dict[str, Any]:
    """The output of local/sam/engine.py. Raises NoEngine if there is no engine."""
    script = Path(__file__).with_name("engine.py")
    asked = subprocess.run(
        [sam / "python", script], env=environment(sam), capture_output=True, text=True
    )
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise NoEngine(
            "make sam-local needs a container engine, and SAM CLI found none: start Docker, Finch, "
            "or Podman with DOCKER_HOST set to its socket. make local needs none. "
            f"(SAM CLI: {reason})"
        )
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def addresses(engine: Mapping[str, Any], host: str) -> tuple[str, str]:
    """The address for AWS besides loopback ("" for none), and its name in containers.

    `host` is an address that the developer chose. Raises NoEngine if no address is known.
    """
    if host:
        return host, host
    if engine["desktop"]:
        # Inside the engine's virtual machine the name is this machine's loopback.
        return "", "host.docker.internal"
    if engine["gateway"] and not engine["rootless"]:
        return engine["gateway"], engine["gateway"]
    why = "runs without root" if engine["rootless"] else "tells of no bridge"
    raise NoEngine(
        f"The container engine ({engine['name']}) {why}, so its containers find this machine at no "
        "address that is known. Name one that they reach, such as that of the network card: "
        "make sam-local HOST=192.168.1.20"
    )


def arguments(text: str) -> list[str]:
    """The words in ARGS=."""
    return shlex.split(text)
