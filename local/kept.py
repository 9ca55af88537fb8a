"""The file in which `make local` keeps its data: written whole or not at all, verified when read.

    state           a line of JSON about the content, then the stores of the emulator
    state.1         the save before it
    blobs/<sha256>  large values, such as the code of functions: each is written once

The stores are pickled, because the emulator tells tuples from lists and bytes from text. Only the
types in TYPES are written and read, so that a file cannot make the reader run code.
"""

import hashlib
import io
import json
import os
import pickle  # nosec B403: see _Reader
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1  # raise it when an older Slipway could not use the stores any more
STATE, BEFORE, BLOBS = "state", "state.1", "blobs"
LARGE = 64 * 1024  # bytes from which a value gets a file of its own

# Types in the stores, beside numbers, text, bytes, lists and dicts.
TYPES = frozenset(
    {
        "builtins.bytearray",
        "builtins.dict",
        "builtins.frozenset",
        "builtins.set",
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.deque",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "local.patches.iam_stacks.By",
        "ministack.core.responses.AccountRegionScopedDict",
        "ministack.core.responses.AccountScopedDict",
    }
)

Stores = dict[str, Any]


class Unreadable(Exception):
    """The file is not what was saved. The message says why, without naming the file."""


class OtherFormat(Unreadable):
    """The file is of a version of Slipway that saves other things."""


class Unsavable(Exception):
    """The stores have something that is not of TYPES."""


@dataclass(frozen=True)
class About:
    """The first line of the file.

    `origins` are the URLs of the ports that the stores may name, by the port's purpose.
    """

    emulator: str
    saved_at: str
    origins: dict[str, str]
    format: int = FORMAT
    size: int = 0
    sha256: str = ""
    blobs: list[str] = field(default_factory=list)


class _Writer(pickle.Pickler):
    """Pickles stores; large values become references to blobs."""

    def __init__(self, file: io.BytesIO, keep_blob: Callable[[bytes], str]) -> None:
        super().__init__(file, protocol=5)
        self._keep_blob = keep_blob

    def persistent_id(self, value: Any) -> str | None:
        if type(value) is bytes and len(value) >= LARGE:
            return self._keep_blob(value)
        return None

    def reducer_override(self, value: Any) -> Any:
        kind = value if isinstance(value, type) else type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name not in TYPES:
            raise Unsavable(f"{name} cannot be saved")
        return NotImplemented


class _Reader(pickle.Unpickler):
    """Unpickles nothing but TYPES, so that loading runs no code from the file."""

    def __init__(self, file: io.BytesIO, blob: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._blob = blob

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in TYPES:
            raise Unreadable(f"it has a {module}.{name}")
        return super().find_class(module, name)

    def persistent_load(self, reference: str) -> bytes:
        return self._blob(reference)


def write(folder: Path, stores: Mapping[str, Any], emulator: str, at: str, origins: Any) -> None:
    """Save the stores. The file that was there becomes the one before.

    A process that dies at any moment leaves a whole file. Raises OSError, Unsavable.
    """
    (folder / BLOBS).mkdir(mode=0o700, exist_ok=True)
    blobs: dict[int, tuple[bytes, str]] = {}

    def keep_blob(content: bytes) -> str:
        # Values stay alive while they are here, so that none takes the id of another.
        if id(content) not in blobs:
            blobs[id(content)] = content, _keep_blob(folder, content)
        return blobs[id(content)][1]

    pickled = io.BytesIO()
    _Writer(pickled, keep_blob).dump(dict(stores))
    content = pickled.getvalue()
    about = About(
        emulator=emulator,
        saved_at=at,
        origins=origins,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        blobs=sorted({name for _, name in blobs.values()}),
    )
    first = json.dumps(asdict(about)).encode()
    _make_before(folder)
    _write_whole(folder / STATE, [first, b"\n", content])
    _remove_unused(folder)


def about(path: Path) -> About:
    """The file's first line. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            return _about(file.readline())
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from error


def check(path: Path) -> None:
    """Raises Unreadable unless the file is whole, with its blobs."""
    _content(path)


def read(path: Path) -> tuple[About, Stores]:
    """The saved state. Raises Unreadable."""
    found, content = _content(path)
    blobs = {name: _blob(path.parent, name) for name in found.blobs}
    try:
        stores = _Reader(io.BytesIO(content), blobs.__getitem__).load()
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"it cannot be parsed: {error!r}") from error
    return found, dict(stores)


def _about(line: bytes) -> About:
    try:
        told = json.loads(line)
        version = told["format"]
    except (ValueError, KeyError, TypeError):
        raise Unreadable("its first line is not one that Slipway writes") from None
    if version != FORMAT:
        raise OtherFormat(f"it has format {version}, and this version of Slipway reads {FORMAT}")
    try:
        return About(**told)
    except TypeError:
        raise Unreadable("its first line is not one that Slipway writes") from None


def _content(path: Path) -> tuple[About, bytes]:
    try:
        line, _, content = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from error
    found = _about(line)
    if len(content) < found.size:
        raise Unreadable(f"it ends after {len(content)} of {found.size} bytes")
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise Unreadable("its content was changed: the checksum differs")
    for name in found.blobs:
        _blob(path.parent, name)
    return found, content


def _blob(folder: Path, name: str) -> bytes:
    try:
        content = (folder / BLOBS / name).read_bytes()
    except OSError:
        raise Unreadable(f"its part {BLOBS}/{name[:12]}… is missing") from None
    if hashlib.sha256(content).hexdigest() != name:
        raise Unreadable(f"its part {BLOBS}/{name[:12]}… was changed")
    return content


def _keep_blob(folder: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    path = folder / BLOBS / name
    if not path.exists():
        _write_whole(path, [content])
    return name


def _write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file that only its owner can read; it replaces `path` when all of it is on disk."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    with open(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _make_before(folder: Path) -> None:
    """Let the file's content have the other name, too, which had that of the save before."""
    if not (folder / STATE).exists():
        return
    second = folder / f"{BEFORE}.{os.getpid()}.unfinished"
    second.unlink(missing_ok=True)
    second.hardlink_to(folder / STATE)
    second.replace(folder / BEFORE)


def _remove_unused(folder: Path) -> None:
    """Remove what no save refers to, and what a process that died has left."""
    used: set[str] = set()
    for name in (STATE, BEFORE):
        try:
            used.update(about(folder / name).blobs)
        except Unreadable:
            continue
    for path in [*folder.glob("*.unfinished"), *(folder / BLOBS).iterdir()]:
        if path.name not in used:
            path.unlink(missing_ok=True)
