"""The file that `make local` keeps its data in: whole or not at all, and never code."""

import datetime
import decimal
import json
import os
import pickle
import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import kept
from local.data import FOLDER, Data, Unusable

LARGE = b"x" * kept.LARGE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / FOLDER
    made.mkdir()
    return made


def save(folder: Path, **stores: Any) -> None:
    kept.write(folder, stores, version(), "2026-11-29T02:00:00+00:00", {"aws": "http://x:1"})


def version() -> str:
    from importlib.metadata import version

    return version("ministack")


def opened(cache: Path, *, fresh: bool = False) -> tuple[Data, list[str]]:
    said: list[str] = []
    data = Data(cache, fresh=fresh, every=1, say=said.append)
    data.open("http://127.0.0.1:8000")
    data.close()
    return data, said


def found(cache: Path) -> dict[str, Any]:
    """The state that the next run would continue with."""
    data, _ = opened(cache)
    return kept.read(data.found)[1] if data.found else {}


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    items: defaultdict[str, dict[str, int]] = defaultdict(dict)
    items["a"]["b"] = 1
    stores = {
        "scoped": {("000000000000", "us-east-1", "t"): {"items": items, "body": b"\xff"}},
        "others": [{1, 2}, (None, 2.5), datetime.datetime.now(datetime.UTC), decimal.Decimal("1")],
        "large": [LARGE, LARGE],
    }

    kept.write(folder, stores, "1", "now", {})

    about, read = kept.read(folder / kept.STATE)
    assert read == stores
    assert read["scoped"]["000000000000", "us-east-1", "t"]["items"]["new"] == {}
    assert len(about.blobs) == len(list((folder / kept.BLOBS).iterdir())) == 1


def test_only_its_owner_can_read_it(folder: Path) -> None:
    before = os.umask(0)
    try:
        save(folder, code=LARGE)
        opened(folder.parent)
    finally:
        os.umask(before)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / kept.BLOBS).stat().st_mode) == 0o700


class Died(BaseException):
    """The process ends here."""


STEPS = ("open", "fsync", "replace", "link", "unlink")


def dying(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """End the process before the system call with this number. Returns a count of the calls."""
    calls = 0

    def counted(stock: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Died
            return stock(*args, **kwargs)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: calls


def test_a_crash_at_any_step_of_a_save_leaves_one_whole_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for at in range(1, 100):
        cache = tmp_path / str(at)
        folder = cache / FOLDER
        folder.mkdir(parents=True)
        save(folder, n=0, code=LARGE + b"0")
        save(folder, n=1, code=LARGE + b"1")
        with monkeypatch.context() as here:
            calls = dying(here, at)
            try:
                save(folder, n=2, code=LARGE + b"2")
                died = False
            except Died:
                died = True
        stores = found(cache)
        assert stores["code"] == LARGE + str(stores["n"]).encode()
        outcomes.append(stores["n"])
        save(folder, n=3, code=LARGE + b"3")
        assert found(cache)["n"] == 3
        assert not list(folder.glob("*.unfinished"))
        if not died:
            break

    assert calls() < at
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {1, 2}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda whole: b"", "its first line is not one that Slipway writes"),
        (lambda whole: b"{}\n", "its first line is not one that Slipway writes"),
        (lambda whole: os.urandom(100), "its first line is not one that Slipway writes"),
        (lambda whole: whole[:-1], "it ends after"),
        (lambda whole: whole[: len(whole) // 2], "it ends after|its first line"),
        (lambda whole: whole[:-1] + b"?", "its content was changed"),
    ],
)
def test_a_broken_file_is_told_and_the_save_before_it_is_taken(
    folder: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    save(folder, n=1)
    save(folder, n=2)
    state = folder / kept.STATE
    state.write_bytes(spoil(state.read_bytes()))

    data, lines = opened(folder.parent)

    assert data.found and kept.read(data.found)[1] == {"n": 1}
    assert ".slipway/data/state cannot be used: " in lines[0]
    assert any(each in lines[0] for each in said.split("|"))
    assert lines[1].endswith(", an earlier save")
    assert (folder / "state.broken").exists()
    save(folder, n=3)
    assert found(folder.parent) == {"n": 3}


def test_without_a_whole_save_nothing_starts_and_nothing_is_lost(folder: Path) -> None:
    save(folder, n=1)
    save(folder, n=2)
    for name in (kept.STATE, kept.BEFORE):
        os.truncate(folder / name, 300)

    with pytest.raises(Unusable) as refused:
        opened(folder.parent)

    assert "FRESH=1 make local begins empty" in str(refused.value)
    assert {kept.STATE, kept.BEFORE} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("change", [b"", b"changed", None])
def test_a_part_that_is_missing_or_changed_breaks_the_save(
    folder: Path, change: bytes | None
) -> None:
    save(folder, n=1)
    save(folder, n=2, code=LARGE)
    [part] = (folder / kept.BLOBS).iterdir()
    part.unlink() if change is None else part.write_bytes(change)

    _, lines = opened(folder.parent)

    assert f"its part blobs/{part.name[:12]}…" in lines[0]
    assert found(folder.parent) == {"n": 1}


def altered(folder: Path, **fields: Any) -> None:
    path = folder / kept.STATE
    line, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps(json.loads(line) | fields).encode() + b"\n" + rest)


def test_data_of_another_emulator_is_not_touched(folder: Path) -> None:
    save(folder, n=1)
    altered(folder, emulator="9.9.9")

    with pytest.raises(Unusable) as refused:
        opened(folder.parent)

    assert "is from ministack 9.9.9, and this checkout has" in str(refused.value)
    assert "FRESH=1" in str(refused.value)
    assert (folder / kept.STATE).exists()


def test_data_of_another_format_is_not_touched(folder: Path) -> None:
    save(folder, n=1)
    save(folder, n=2)
    altered(folder, format=kept.FORMAT + 1)

    with pytest.raises(Unusable) as refused:
        opened(folder.parent)

    assert "is from another version of Slipway: it has format 2" in str(refused.value)
    assert (folder / kept.STATE).exists()


def test_fresh_sets_everything_aside(folder: Path) -> None:
    save(folder, code=LARGE)

    data, lines = opened(folder.parent, fresh=True)

    assert data.found is None
    assert lines == ["beginning empty; the data until now is in .slipway/data.old"]
    assert kept.read(folder.parent / "data.old" / kept.STATE)[1] == {"code": LARGE}
    assert opened(folder.parent)[0].found is None
    assert opened(folder.parent, fresh=True)[1] == []
    assert (folder.parent / "data.old" / kept.STATE).exists()


class Attack:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def test_a_file_cannot_run_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    content = pickle.dumps({"n": Attack()})
    save(folder, n=1)
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    altered(folder, size=len(content), sha256=digest)
    line = (folder / kept.STATE).read_bytes().partition(b"\n")[0]
    (folder / kept.STATE).write_bytes(line + b"\n" + content)

    with pytest.raises(kept.Unreadable, match=r"it has a posix\.mkdir"):
        kept.read(folder / kept.STATE)

    assert not Path("pwned").exists()


def test_what_could_not_be_read_again_is_not_saved(folder: Path) -> None:
    save(folder, n=1)

    with pytest.raises(kept.Unsavable, match="Attack cannot be saved"):
        save(folder, n=Attack())

    assert found(folder.parent) == {"n": 1}


def test_only_one_run_at_a_time_has_the_data(tmp_path: Path) -> None:
    first = Data(tmp_path, fresh=False, every=1, say=print)
    first.open("http://127.0.0.1:8000")

    with pytest.raises(Unusable) as refused:
        opened(tmp_path)

    assert f"in use by the make local at http://127.0.0.1:8000 (process {os.getpid()})" in str(
        refused.value
    )
    assert "KEEP=0 make local" in str(refused.value)
    with pytest.raises(Unusable):
        opened(tmp_path, fresh=True)
    first.close()
    opened(tmp_path)
