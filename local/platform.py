"""The whole platform as one object, which starts, updates and stops it.

    with Platform(root) as platform:
        urlopen(platform.url + "/health")

All of its files are in `.slipway/`: the layer's dependencies and the data, which are kept, and one
folder for each run, which is removed at its end. The next start removes the folder of a run that
was killed.
"""

import contextlib
import fcntl
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from local import iam_keys, package
from local.data import Data
from local.iam_keys import Key
from local.parameters import own_defaults
from local.sockets import LOOPBACK, bound, bound_to_first_free
from local.stack import Stack

HERE = Path(__file__).resolve().parents[1]
REGION = "us-east-1"
GRACE = 2.0  # seconds for the emulator to end
SAVING = 70.0  # seconds for it to save its data and end


class EmulatorDied(Exception):
    """The child process ended unexpectedly. The message has the end of its log."""


class Platform:
    """The platform for the application in `root`.

    port        0 takes any free port
    parameters  the template's; CloudFormation refuses those that it does not declare
    say         is called with a line for each step
    quiet       keeps the functions' errors out of the terminal
    logs        shows everything that functions write
    bare        starts an empty AWS: create a stack there, then `serve` its API
    beyond      another address of this machine for AWS, which else listens only on loopback
    names       further names of this machine that requests may have in `Host`
    data        what the platform continues with and where it saves; without, it keeps nothing
    """

    def __init__(
        self,
        root: Path = HERE,
        port: int = 0,
        parameters: dict[str, str] | None = None,
        *,
        say: Callable[[str], None] = lambda line: None,
        quiet: bool = True,
        logs: bool = False,
        bare: bool = False,
        beyond: str = "",
        names: Collection[str] = (),
        data: Data | None = None,
    ) -> None:
        self.root, self.port, self.say, self.quiet, self.logs = root, port, say, quiet, logs
        self.beyond, self.names = beyond, {beyond, *names}
        self.owner = iam_keys.of_owner()
        self.environments_port = 0
        self.parameters = parameters or {}
        self.defaults = own_defaults(self.parameters)
        self.bare, self.data = bare, data
        self.cache = root / ".slipway"
        self.run_dir = self.cache / f"run-{os.getpid()}"
        self.outputs: dict[str, str] = {}
        self.emulator: subprocess.Popen[str] | None = None
        self._sockets: list[socket.socket] = []
        self._lock: IO[str] | None = None
        self._stack: Stack | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environments_url(self) -> str:
        """The URL below which environments answer: another origin than that of the API."""
        return f"http://{LOOPBACK}:{self.environments_port}"

    @property
    def endpoint(self) -> str:
        """The URL for AWS clients."""
        return self.endpoint_at(LOOPBACK)

    def endpoint_at(self, host: str) -> str:
        """The URL for AWS clients that know this machine as `host`."""
        return f"http://{host}:{self._sockets[0].getsockname()[1]}"

    def client(self, service: str, key: Key | None = None) -> Any:
        """A boto3 client of this platform's AWS, independent of the user's configuration.

        It signs with the owner's key, or with another one.
        """
        return client(self.endpoint, service, key or self.owner)

    def assume(self, role: str, session: str = "session", hours: float = 1) -> Key:
        """The key of a session of the role. Raises ClientError if its trust policy forbids it."""
        asked = {"RoleArn": role, "RoleSessionName": session, "DurationSeconds": int(hours * 3600)}
        made = self.client("sts").assume_role(**asked)["Credentials"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def key_of(self, configuration: dict[str, Any]) -> dict[str, str]:
        """The variables with a function's credentials, from its configuration.

        They belong to a session of its role, so that outside the emulator the function has the same
        permissions as inside. They last twelve hours, the longest that STS allows.
        """
        session = configuration["FunctionName"][:64]
        return self.assume(configuration["Role"], session, hours=12).variables()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the platform.

        Raises PortInUse, package.Broken, stack.StackFailed, EmulatorDied, data.Unusable.
        """
        try:
            self._bind()
            self.say("starting the emulator")
            with _undisturbed():
                self._make_run_dir()
                self._start_emulator()
            if self.bare:
                self._wait_for_emulator()
                return
            self.say("packaging functions, layer and state machines")
            built = self._package()
            clients = [self.client(service) for service in ("s3", "cloudformation")]
            self._wait_for_emulator()
            self._stack = Stack(self.endpoint, *clients)
            if sender := (self.defaults | self.parameters).get("MailSender"):
                self._prove(sender)
            self._make_buckets((self.defaults | self.parameters).get("ArtifactBuckets", ""))
            continues = self.data is not None and self.data.found is not None
            if continues:
                self._stack.find()
            self.say(f"{'updating' if continues else 'creating'} the stack")
            self._deploy(built)
        except BaseException:
            self.stop()
            raise

    def _bind(self) -> None:
        """Bind the ports: if possible those that addresses in the kept data name."""
        self._sockets.append(bound(self.port))
        self.port = self._sockets[0].getsockname()[1]
        if self.data:
            self.data.open(self.url)
        ports = self.data.ports if self.data else lambda purpose: []
        self._sockets.insert(0, bound_to_first_free(ports("aws")))
        beside = [*ports("environments"), self.port % 65535 + 1]
        self._sockets.append(bound_to_first_free(beside))
        self.environments_port = self._sockets[2].getsockname()[1]
        if self.beyond:
            self._sockets.append(bound(self._sockets[0].getsockname()[1], self.beyond))

    def _prove(self, sender: str) -> None:
        """Let SES accept mail from this address, which on AWS its owner proves."""
        ses = self.client("sesv2")
        with contextlib.suppress(ses.exceptions.AlreadyExistsException):
            ses.create_email_identity(EmailIdentity=sender)

    def _make_buckets(self, names: str) -> None:
        """The buckets for code, which on AWS exist before the stack. Those that exist stay."""
        s3 = self.client("s3")
        for name in filter(None, map(str.strip, names.split(","))):
            s3.create_bucket(Bucket=name)

    def update(self) -> None:
        """Deploy the current sources to the running stack. Table and executions stay.

        After package.Broken or stack.StackFailed the previous version still runs.
        """
        self._deploy(self._package())

    def serve(self, api_id: str) -> None:
        """Serve this HTTP API on `url`."""
        assert self.emulator and self.emulator.stdin
        print(json.dumps({"api": api_id}), file=self.emulator.stdin, flush=True)

    def stop(self) -> None:
        """End all processes and remove the run's files. A second call does nothing."""
        if self.emulator:
            assert self.emulator.stdin
            self.emulator.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.emulator.wait(SAVING if self.data else GRACE)
            # The emulator and its workers are a process group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.emulator.pid, signal.SIGKILL)
            self.emulator.wait()
            self.emulator = None
        for each in self._sockets:
            each.close()
        if self.data:
            self.data.close()
        if self._lock:
            shutil.rmtree(self.run_dir, ignore_errors=True)
            self._lock.close()
            self._lock = None

    def check(self) -> None:
        """Raises EmulatorDied if the emulator has ended."""
        if self.emulator and self.emulator.poll() is not None:
            lines = (self.run_dir / "emulator.log").read_text(errors="replace").splitlines()
            raise EmulatorDied("\n".join(["the emulator ended unexpectedly", *lines[-20:]]))

    def _make_run_dir(self) -> None:
        """Create a folder that is locked while this process or its emulator lives."""
        for left in self.cache.glob("run-*"):
            if lock := _locked(left):
                shutil.rmtree(left, ignore_errors=True)
                lock.close()
        names = (f"run-{os.getpid()}{n}" for n in ["", *(f"-{n}" for n in range(2, 100))])
        self.run_dir = next(path for name in names if not (path := self.cache / name).exists())
        self.cache.mkdir(exist_ok=True)
        self.run_dir.mkdir(mode=0o700)
        (self.run_dir / "tmp").mkdir()
        (self.run_dir / "tmp").chmod(0o700)
        self._lock = _locked(self.run_dir)
        assert self._lock
        self._write("aws.env", self._shell_variables())

    def _shell_variables(self) -> str:
        """Lines for a shell: the owner's key, and where AWS is."""
        variables = self.owner.variables() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }
        lines = [f"export {name}={value}" for name, value in variables.items()]
        return "\n".join([*lines, "unset AWS_SESSION_TOKEN AWS_PROFILE", ""])

    def _start_emulator(self) -> None:
        assert self._lock
        fds = [each.fileno() for each in self._sockets]
        shared = [*fds, self._lock.fileno(), *([self.data.fileno()] if self.data else [])]
        log_file = os.open(self.run_dir / "emulator.log", os.O_CREAT | os.O_WRONLY, 0o600)
        with open(log_file, "w") as log:
            self.emulator = subprocess.Popen(
                [sys.executable, "-m", "local.emulator", *map(str, fds)],
                cwd=HERE,
                env=self._emulator_variables(),
                pass_fds=shared,
                stdin=subprocess.PIPE,
                stdout=log if self.quiet else None,
                stderr=log,
                text=True,
                start_new_session=True,  # only this process receives a Ctrl-C
            )

    def _emulator_variables(self) -> dict[str, str]:
        """The emulator's environment variables: none of the user's own but these two."""
        home = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        parameters = {"CorsOrigins": "", "PublicUrl": "", **self.parameters}
        allowed = [sorted(self.names), parameters["CorsOrigins"], parameters["PublicUrl"]]
        return {
            **home,
            **self.owner.variables(),
            "HOME": str(self.run_dir),
            "TMPDIR": str(self.run_dir / "tmp"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "GATEWAY_PORT": str(self._sockets[0].getsockname()[1]),
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": REGION,
            "LAMBDA_WARM_TTL_SECONDS": "60",
            # Else each of many threads has an arena, and glibc returns none of them.
            "MALLOC_ARENA_MAX": "2",
            "LOG_LEVEL": "WARNING",
            "AUTH": "true",
            "SLIPWAY_LOGS": "1" if self.logs else "0",
            "SLIPWAY_PORT": str(self.port),
            "SLIPWAY_ENVIRONMENTS_PORT": str(self.environments_port),
            "SLIPWAY_ALLOWED": json.dumps(allowed),
            "SLIPWAY_RUN_DIR": str(self.run_dir),
            "SLIPWAY_KEPT": json.dumps(self.data.for_emulator()) if self.data else "",
        }

    def _package(self) -> package.Package:
        scratch = self.run_dir
        dependencies = package.layer_dependencies(self.root, self.cache, scratch, self.say)
        return package.build(self.root, dependencies)

    def _wait_for_emulator(self) -> None:
        health = f"{self.endpoint}/_ministack/health"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            self.check()
            try:
                direct.open(health, timeout=5).close()
                return
            except OSError:
                time.sleep(0.02)

    def _deploy(self, built: package.Package) -> None:
        assert self._stack and self.emulator and self.emulator.stdin
        declared = built.template.get("Parameters") or {}
        if "PythonRuntime" not in self.parameters:
            # The template may not list this interpreter.
            declared.get("PythonRuntime", {}).pop("AllowedValues", None)
        defaults = self.defaults | {"PublicUrl": self.url}
        own = {name: value for name, value in defaults.items() if name in declared}
        self.outputs = self._stack.deploy(built, own | self.parameters)
        self.serve(self.outputs["ApiId"])
        about = {
            "endpoint": self.endpoint,
            "api_url": self.url,
            "environments_url": self.environments_url,
            "port": self.port,
            "pid": os.getpid(),
            "region": REGION,
            "outputs": self.outputs,
        }
        self.write("emulator.json", about)

    def write(self, name: str, content: dict[str, Any]) -> Path:
        """Write a JSON file of the run atomically, for this user alone. Returns its path."""
        return self._write(name, json.dumps(content, indent=2, default=str))

    def _write(self, name: str, text: str) -> Path:
        scratch = self.run_dir / "tmp" / name
        file = os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(file, "w", encoding="utf-8") as content:
            content.write(text)
        return scratch.rename(self.run_dir / name)


def client(endpoint: str, service: str, key: Key) -> Any:
    """A boto3 client of the emulator at the endpoint, independent of the user's configuration."""
    from botocore.config import Config

    # proxies={}: the user's proxy is not used for loopback.
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=50, proxies={})
    with _making_a_client:
        return _session().client(
            service,
            endpoint_url=endpoint,
            config=config,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            aws_session_token=key.token or None,
        )


# Threads may share clients, but not sessions.
_making_a_client = threading.Lock()


@functools.cache
def _session() -> Any:
    """The session for all clients, which caches AWS's models: loading them is slow."""
    import boto3
    from botocore.session import Session

    return boto3.Session(
        region_name=REGION,
        botocore_session=Session(
            {
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        ),
    )


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Defer signals, so that `stop` knows of everything that is created."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _locked(folder: Path) -> IO[str] | None:
    """The folder's lock; None if another process has it."""
    try:
        lock = (folder / "lock").open("w")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock
