"""Lambda workers: errors keep their class, imports come from the layer, requests are completed.

Defects of the stock workers:
- every error of a handler becomes `Runtime.HandlerError`, so Catch and Retry by class never match;
- a handler that raises loses its process, so the next call is a cold start;
- every invocation that prints nothing takes 50 ms longer;
- the emulator's site-packages and the user's environment leak into handlers, so a dependency that
  the layer lacks is not noticed;
- layer and code are unpacked again for each worker;
- an update kills workers during a request;
- a burst starts a process for each concurrent request (36 workers, 1.2 GB, for 16 clients).

A request that prefers to wait (RFC 7240) sleeps for most of its time. It takes no worker of others:
a process is forked for it (local/forks.py), which ends with it.

Here a worker runs local/runtime.py in an isolated interpreter with the function's code, its layers,
and only the AWS SDK from our site-packages, which is part of Lambda's own runtime.
"""

import contextlib
import hashlib
import io
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import IO, Any

from local import console, forks, iam_keys, runtime
from local.patches import function_logs, lambda_runtimes, payload_limits

INIT_SECONDS = 30
WORKERS = max(2, os.cpu_count() or 1)  # for each function; further calls wait
WAITERS = 64  # for each function; requests that wait beside them

_nurseries_lock = threading.Lock()
_nurseries: dict[str, forks.Nursery] = {}
_unpacking_lock = threading.Lock()
_functions_by_folder: dict[
    str, list[Path]
] = {}  # each folder's function, the last one that was started in it
_unused_since: dict[Path, float] = {}  # since when no worker has used them


def unpacked(archive: bytes) -> Path:
    """The archive's files, unpacked once and shared by all workers. Read-only, as on Lambda."""
    folder = Path(tempfile.gettempdir(), f"code-{hashlib.sha256(archive).hexdigest()[:16]}")
    with _unpacking_lock:
        if not folder.exists():
            fresh = Path(tempfile.mkdtemp(prefix="unpacking-"))
            with zipfile.ZipFile(io.BytesIO(archive)) as files:
                files.extractall(fresh)
            fresh.rename(folder)
    return folder


def keep(function: str, folders: list[Path]) -> None:
    """Record the function's folder. A folder is removed a minute after its last use."""
    with _unpacking_lock:
        _functions_by_folder[function] = folders
        wanted = {folder for running in _functions_by_folder.values() for folder in running}
        now = time.monotonic()
        for folder in Path(tempfile.gettempdir()).glob("code-*"):
            if folder in wanted:
                _unused_since.pop(folder, None)
            elif now - _unused_since.setdefault(folder, now) > 60:
                shutil.rmtree(folder, ignore_errors=True)


def environment(
    config: dict[str, Any], task_root: Path, region: str, log_stream: str
) -> dict[str, str]:
    """A handler's os.environ: its own and Lambda's variables, none of the user's."""
    own = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), "LANG": "en_US.UTF-8"}
    own |= {"TMPDIR": tempfile.gettempdir(), "TZ": ":UTC"}
    own |= (config.get("Environment") or {}).get("Variables", {})
    log_group = (config.get("LoggingConfig") or {}).get("LogGroup")
    version = config.get("Version", "$LATEST")
    return (
        own
        | iam_keys.of_function(config).variables()
        | {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group or f"/aws/lambda/{config['FunctionName']}",
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": config["Handler"],
        }
    )


def _queue_lines(pipe: IO[bytes], lines: "queue.SimpleQueue[str]") -> None:
    for raw in pipe:
        lines.put(raw.decode("utf-8", "replace").rstrip("\n"))
    lines.put(runtime.END)


def _take_log(worker: Any) -> str:
    """The lines of the invocation that ended last."""
    lines: list[str] = []
    deadline = time.monotonic() + 0.5
    while True:
        try:
            line = worker.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return "\n".join(lines)
        before, end, _ = line.partition(runtime.END)
        if before or not end:
            lines.append(before)
        if end:
            return "\n".join(lines)


def _exchange(worker: Any, message: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Send a message and return the answer. Raises TimeoutError; EOFError if the process ended."""
    worker.channel.settimeout(seconds)
    try:
        worker.stream.write(json.dumps(message).encode() + b"\n")
        worker.stream.flush()
        line = worker.stream.readline()
    except TimeoutError:
        raise
    except OSError as error:
        raise EOFError from error
    if not line:
        raise EOFError
    reply: dict[str, Any] = json.loads(line)
    return reply


def _spawn(worker: Any, **init: Any) -> dict[str, Any]:
    """Start the process. Its answer is {"ok": true}, or the error of importing the handler."""
    from ministack.services import lambda_svc

    config = worker.config
    task_root = unpacked(worker.code_zip)
    layers = [unpacked(lambda_svc._resolve_layer_zip(it)) for it in config.get("Layers") or []]
    keep(f"{config['FunctionName']}:{config.get('Version')}", [task_root, *layers])
    identifier = config["Runtime"]
    path = lambda_runtimes.import_path(identifier, task_root, layers)
    _, region = lambda_svc._account_region_from_function_config(config)
    version = config.get("Version", "$LATEST")
    worker.log_stream = _log_stream(version)
    worker.channel, theirs = socket.socketpair()
    with theirs:
        worker._proc = subprocess.Popen(
            [*lambda_runtimes.program(identifier), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=task_root,
            env={
                **environment(config, task_root, region, worker.log_stream),
                **lambda_runtimes.variables(identifier, task_root, layers),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    worker.stream = worker.channel.makefile("rwb")
    _pump(worker, worker._proc.stdout)
    init |= {"path": [str(folder) for folder in path], "handler": config["Handler"]}
    return _exchange(worker, init, INIT_SECONDS)


def _log_stream(version: str) -> str:
    return f"{time.strftime('%Y/%m/%d')}/[{version}]{os.urandom(16).hex()}"


def _pump(worker: Any, output: IO[bytes]) -> None:
    worker.lines = queue.SimpleQueue()
    threading.Thread(target=_queue_lines, args=(output, worker.lines), daemon=True).start()


def _modules_of(worker: Any) -> list[str]:
    """What an idle worker of the same function has imported by now, if there is one."""
    from ministack.core import lambda_runtime

    config = worker.config
    name, version = config["FunctionName"], config.get("Version", "$LATEST")
    with lambda_runtime._lock:
        pool = lambda_runtime._workers.get(lambda_runtime._worker_key(name, config, version), [])
        idle = next((each for each in pool if not each.in_use and each._proc is not None), None)
        if idle is None:
            return []
        idle.in_use = True
    try:
        modules: Any = _exchange(idle, {"modules": True}, INIT_SECONDS)
        _take_log(idle)
        return list(modules)
    except (EOFError, TimeoutError):
        return []
    finally:
        lambda_runtime.release_worker(idle)


def _fork(worker: Any) -> dict[str, Any]:
    """Start the process as a child of the function's nursery. Its answer as that of _spawn."""
    config = worker.config
    version = config.get("Version", "$LATEST")
    name = f"{config['FunctionName']}:{version}"
    with _nurseries_lock:
        nursery = _nurseries.get(name)
        if nursery is None or not nursery.serves(worker):
            if nursery is not None:
                _kill(nursery)
            nursery = _nurseries[name] = forks.Nursery(worker)
            reply = _spawn(nursery, forks=_modules_of(worker))
            _take_log(nursery)
            if "error" in reply:
                _kill(_nurseries.pop(name))
                return _spawn(worker)
    worker.log_stream = _log_stream(version)
    environ = {"AWS_LAMBDA_LOG_STREAM_NAME": worker.log_stream}
    worker._proc, worker.channel, output = nursery.fork(environ)
    worker.stream = worker.channel.makefile("rwb")
    _pump(worker, output)
    return {"ok": True}


def _kill(worker: Any) -> int:
    """Kill the process and close its files. Returns its exit code."""
    process, worker._proc = worker._proc, None
    process.kill()
    code: int = process.wait()
    _close_stream(worker)
    return code


def _close_stream(worker: Any) -> None:
    with contextlib.suppress(OSError):  # requests that the process will not read
        worker.stream.close()
    worker.channel.close()


def _invoke(worker: Any, event: Any, request_id: str, **call: Any) -> dict[str, Any]:
    """{"result": .., "log": ..} or {"error": {errorType, errorMessage, ..}, "log": ..}.

    `call` has `arn`, the function as it was invoked, and `trace_id`.
    """
    timeout = float(worker.config.get("Timeout", 3))
    reply: dict[str, Any] = {"ok": True}
    log = ""
    try:
        if worker._proc is not None and worker._proc.poll() is not None:
            _kill(worker)  # it was killed while idle
        if worker._proc is None:
            reply = _fork(worker) if _waits(worker.config, event) else _spawn(worker)
            log = _take_log(worker)
        if "error" in reply:
            _kill(worker)
            return reply | {"log": log}
        call |= {"event": event, "request_id": request_id, "timeout": timeout}
        reply = _exchange(worker, call, timeout)
    except TimeoutError:
        _kill(worker)
        reply = _error(
            request_id, "Sandbox.Timedout", f"Task timed out after {timeout:.2f} seconds"
        )
    except EOFError:
        code = worker._proc.wait()
        _kill(worker)
        killed = f"with error: signal: {signal.strsignal(-code)}".lower() if code < 0 else ""
        how = killed or "without providing a reason"
        reply = _error(request_id, "Runtime.ExitError", f"Runtime exited {how}")
    if reply.pop("ends", False):
        _kill(worker)
    return reply | {"log": "\n".join(filter(None, [log, _take_log(worker)]))}


def _error(request_id: str, kind: str, message: str) -> dict[str, Any]:
    return {
        "error": {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    }


def _waits(config: dict[str, Any], event: Any) -> bool:
    """Whether it is an HTTP request with the preference `wait`, to a function that can fork."""
    headers = event.get("headers") if isinstance(event, dict) else None
    prefers = isinstance(headers, dict) and "wait" in str(headers.get("prefer", ""))
    return prefers and config["Runtime"].startswith("python")


def patch_pool(module: Any) -> None:
    """lambda_runtime: a busy worker that was replaced ends after its invocation."""
    stock_kill = module.kill_workers

    def kill_workers(workers: list[Any]) -> None:
        with module._lock:
            for worker in workers:
                worker.retired = True
            idle = [worker for worker in workers if not worker.in_use]
        stock_kill(idle)

    def release_worker(worker: Any) -> None:
        with module._lock:
            worker.in_use = False
            retired = getattr(worker, "retired", False)
        if retired:
            stock_kill([worker])

    def discard(worker: Any) -> None:
        if hasattr(worker, "channel"):
            _close_stream(worker)

    module.kill_workers = kill_workers
    module.release_worker = release_worker
    module.Worker._discard_tmpdir = discard


def patch_service(module: Any) -> None:
    """lambda_svc: invoke through the workers above."""
    from ministack.core import lambda_runtime

    gates: dict[tuple[str, bool], threading.Semaphore] = {}

    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = func.get("config") or func
        name, version = config["FunctionName"], config.get("Version", "$LATEST")
        waits = _waits(config, event)
        gate = gates.setdefault((name, waits), threading.Semaphore(WAITERS if waits else WORKERS))
        with gate:
            module._ensure_reaper_thread()
            if waits:
                worker = lambda_runtime.Worker(name, config, func["code_zip"])
            else:
                worker, _ = module.acquire_worker(name, config, func["code_zip"], qualifier=version)
            try:
                trace_id = module._xray_trace_id_for_invocation(config)
                arn = config["FunctionArn"]
                reply = _invoke(worker, event, request_id, arn=arn, trace_id=trace_id)
            except Exception as error:  # such as a layer that cannot be unpacked
                reply = _error(request_id, "Runtime.Unknown", repr(error)) | {"log": ""}
            finally:
                function_logs.current.set(getattr(worker, "log_stream", ""))
                if not waits:
                    module.release_worker(worker)
                elif worker._proc is not None:
                    _kill(worker)
        reply = payload_limits.limited(reply)
        console.invoked(name, reply)
        if "error" in reply:
            return {"body": reply["error"], "error": True, "log": reply["log"]}
        return {"body": reply["result"], "log": reply["log"]}

    module._execute_function_warm = execute


TARGETS = {
    "ministack.core.lambda_runtime": patch_pool,
    "ministack.services.lambda_svc": patch_service,
}
