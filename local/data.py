"""The data that `make local` keeps between its runs: its folder, its lock, which save is used.

It is in `.slipway/data`, for this user alone, since it has secrets. One run at a time uses it, and
its emulator, until it has saved.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from local import kept

FOLDER, SET_ASIDE, LOCK, BROKEN = "data", "data.old", "lock", "state.broken"
EVERY = 30.0  # seconds between saves
PATIENCE = 60.0  # seconds for the emulator of a run that was killed to save

BEGIN_EMPTY = "FRESH=1 make local begins empty and moves it to .slipway/data.old."


class Unusable(Exception):
    """The data cannot be used. The message says why, and what to do."""


class Data:
    """The data in `cache`, and its lock.

    fresh  sets what is there aside
    every  seconds between saves
    say    is called with a line for each thing that a user should know
    """

    def __init__(
        self, cache: Path, *, fresh: bool, every: float, say: Callable[[str], None]
    ) -> None:
        self.cache, self.folder, self.say = cache, cache / FOLDER, say
        self.fresh, self.every = fresh, every
        self.found: Path | None = None  # the file to load
        self.origins: dict[str, str] = {}
        self._lock: IO[str] | None = None

    def open(self, url: str) -> None:
        """Take the data for the run at `url`. Raises Unusable."""
        self.cache.mkdir(exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o700)
        self._take_lock(url)
        try:
            if self.fresh:
                self._set_aside()
            elif self._is_there():
                self._choose()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """The lock, for the emulator to hold as well."""
        assert self._lock
        return self._lock.fileno()

    def for_emulator(self) -> dict[str, Any]:
        """Settings of the emulator for loading and saving."""
        state = str(self.found) if self.found else ""
        folder, lock = str(self.folder), self.fileno()
        return {"state": state, "folder": folder, "lock": lock, "every": self.every}

    def ports(self, purpose: str) -> list[int]:
        """The port of the last run for AWS or for environments: their addresses name it."""
        port = urlsplit(self.origins.get(purpose, "")).port
        return [port] if port else []

    def close(self) -> None:
        """Leave the data to the next run, which waits until the emulator has saved."""
        if self._lock:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def _take_lock(self, url: str) -> None:
        path = self.folder / LOCK
        lock = open(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+")  # noqa: SIM115
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if (owner := _owner(path)) or time.monotonic() > until:
                    lock.close()
                    raise Unusable(
                        f"the data in .slipway/{FOLDER} is in use by {owner or 'another process'}; "
                        "stop it, or let this one keep nothing: KEEP=0 make local, "
                        "with a PORT= of its own"
                    ) from None
                time.sleep(0.05)  # its emulator still saves
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "url": url}))
        lock.flush()
        self._lock = lock

    def _is_there(self) -> bool:
        return any((self.folder / name).exists() for name in (kept.STATE, kept.BEFORE))

    def _set_aside(self) -> None:
        """Move what was kept to a folder that is kept until the next time."""
        if not self._is_there():
            return
        aside = self.cache / SET_ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        for path in self.folder.iterdir():
            if path.name != LOCK:
                path.rename(aside / path.name)
        self.say(f"beginning empty; the data until now is in .slipway/{SET_ASIDE}")

    def _choose(self) -> None:
        """Choose the newest file that is whole. One that is not gets another name."""
        reasons, emulator = [], version("ministack")
        for name in (kept.STATE, kept.BEFORE):
            path = self.folder / name
            try:
                about = kept.about(path)
                kept.check(path)
            except kept.OtherFormat as error:
                raise Unusable(
                    f"the data in .slipway/{FOLDER} is from another version of Slipway: "
                    f"{error}.\n{BEGIN_EMPTY}"
                ) from error
            except kept.Unreadable as error:
                if path.exists():
                    reasons.append(f".slipway/{FOLDER}/{name} cannot be used: {error}")
                continue
            if about.emulator != emulator:
                raise Unusable(
                    f"the data in .slipway/{FOLDER} is from ministack {about.emulator}, and this "
                    f"checkout has {emulator}, which may not understand it.\n{BEGIN_EMPTY}"
                )
            self.found, self.origins = path, about.origins
            if reasons:
                (self.folder / kept.STATE).rename(self.folder / BROKEN)
                self.say(f"{reasons[0]}; it is now .slipway/{FOLDER}/{BROKEN}")
            older = ", an earlier save" if reasons else ""
            when = datetime.fromisoformat(about.saved_at).astimezone()
            self.say(f"continuing with the data of {when:%d %B, %H:%M:%S}{older}")
            return
        raise Unusable("\n".join([*reasons, BEGIN_EMPTY]))


def _owner(path: Path) -> str:
    """The run that holds the lock, if it lives; its emulator may live a moment longer."""
    try:
        told = json.loads(path.read_text())
        os.kill(told["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"the make local at {told['url']} (process {told['pid']})"
