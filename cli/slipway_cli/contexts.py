"""Which platform, project and environment a command is about, and the tokens for the platform.

For each of them the first of these decides: a flag, an environment variable (`SLIPWAY_URL`,
`SLIPWAY_PROJECT`, `SLIPWAY_ENV`), the `slipway.toml` of the repository (never the platform), the
current context.
A context is a platform that somebody has signed in to. `contexts.json` in the user's configuration
folder lists them; their tokens are in the keyring, or in a file that only its owner can read where
there is no keyring.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway_cli.failures import WrongUsage

LAPTOP = "http://127.0.0.1:8000"
_SERVICE = "slipway"


def folder() -> Path:
    """The folder of contexts and tokens; `SLIPWAY_CONFIG_DIR` names another one."""
    if given := os.environ.get("SLIPWAY_CONFIG_DIR"):
        return Path(given)
    import platformdirs

    return platformdirs.user_config_path("slipway")


@dataclass
class Choices:
    """The global flags as they were given, None for those that were not."""

    url: str | None = None
    project: str | None = None
    environment: str | None = None

    def platform(self) -> str:
        """The platform's URL, without a slash at its end."""
        # Not from slipway.toml: a repository must not choose where SLIPWAY_TOKEN is sent.
        chosen = self.url or os.environ.get("SLIPWAY_URL")
        return (chosen or _read_contexts().get("current") or LAPTOP).rstrip("/")

    def the_project(self) -> str:
        """The project's name or id. Raises WrongUsage if none is chosen."""
        chosen = self.project or os.environ.get("SLIPWAY_PROJECT") or _repository().get("project")
        if not chosen:
            raise WrongUsage(
                "No project is chosen.",
                hint='Add --project NAME, set SLIPWAY_PROJECT, or write project = "NAME" into '
                "slipway.toml. `slipway projects list` lists your projects.",
            )
        return str(chosen)

    def the_environment(self, named: str | None = None) -> str:
        """The environment's name or id: `named` by an argument, or chosen. Raises WrongUsage."""
        chosen = named or self.environment or os.environ.get("SLIPWAY_ENV")
        chosen = chosen or _repository().get("environment")
        if not chosen:
            raise WrongUsage(
                "No environment is chosen.",
                hint='Name it, set SLIPWAY_ENV, or write environment = "NAME" into slipway.toml. '
                "`slipway envs list` lists the project's environments.",
            )
        return str(chosen)


def _repository() -> dict[str, Any]:
    """The nearest `slipway.toml`, in this folder or above it. Raises WrongUsage."""
    here = Path.cwd()
    for place in (here, *here.parents):
        path = place / "slipway.toml"
        if path.is_file():
            import tomllib

            try:
                return tomllib.loads(path.read_text())
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise WrongUsage(f"{path} cannot be read: {error}") from None
    return {}


# --- contexts ---------------------------------------------------------------------------------


def listed() -> list[dict[str, Any]]:
    """The platforms that somebody has signed in to, as `{url, email, current}`."""
    found = _read_contexts()
    return [
        {"url": url, "email": each.get("email"), "current": url == found.get("current")}
        for url, each in sorted(found.get("contexts", {}).items())
    ]


def use(url: str) -> None:
    """Make the platform the current one. Raises WrongUsage if nobody has signed in to it."""
    with _changed() as found:
        if url not in found["contexts"]:
            raise WrongUsage(f"You have not signed in to {url}.", hint=f"slipway login {url}")
        found["current"] = url


def remember(url: str, email: str, tokens: dict[str, Any]) -> None:
    """Keep the tokens of a sign-in, and make the platform the current one."""
    write_tokens(url, tokens)
    with _changed() as found:
        found["contexts"][url] = {"email": email}
        found["current"] = url


def forget(url: str) -> None:
    """Forget the platform and its tokens."""
    write_tokens(url, None)
    with _changed() as found:
        found["contexts"].pop(url, None)
        if found.get("current") == url:
            found["current"] = next(iter(found["contexts"]), None)


def _read_contexts() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads((folder() / "contexts.json").read_text())
        if isinstance(found, dict):
            return found
    return {}


@contextmanager
def _changed() -> Iterator[dict[str, Any]]:
    with locked("contexts"):
        found = _read_contexts()
        found.setdefault("contexts", {})
        yield found
        _replace(folder() / "contexts.json", json.dumps(found, indent=2))


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process at a time is within this block."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder() / f".{name}.lock", "w") as held:
        with suppress(ImportError):  # Windows has no fcntl; there, two processes may both write.
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _replace(path: Path, text: str) -> None:
    """Write the file so that a reader sees the old text or the new one, and others see neither."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
    os.replace(beside, path)


# --- tokens -----------------------------------------------------------------------------------


def read_tokens(url: str) -> dict[str, Any]:
    """The tokens of the platform, `{access_token, refresh_token}`; empty if there are none."""
    text = None
    if ring := _keyring():
        with suppress(Exception):  # A keyring that is locked or gone is like an empty one.
            text = ring.get_password(_SERVICE, url)
    found = json.loads(text) if text else _in_file().get(url)
    return found if isinstance(found, dict) else {}


def write_tokens(url: str, tokens: dict[str, Any] | None) -> None:
    """Keep the tokens in the place of those before; None deletes them."""
    kept = False
    if ring := _keyring():
        with suppress(Exception):
            if tokens:
                ring.set_password(_SERVICE, url, json.dumps(tokens))
                kept = True
            else:
                ring.delete_password(_SERVICE, url)
    with locked("tokens"):
        found = _in_file()
        if kept or not tokens:
            if url not in found:
                return
            del found[url]
        else:
            found[url] = tokens
        _replace(_file(), json.dumps(found))


def _file() -> Path:
    return folder() / "tokens.json"


def _in_file() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(_file().read_text())
        if isinstance(found, dict):
            return found
    return {}


def _keyring() -> Any:
    """The keyring; None if this machine has none, or `SLIPWAY_KEYRING=off`."""
    if os.environ.get("SLIPWAY_KEYRING") == "off" or "SLIPWAY_CONFIG_DIR" in os.environ:
        return None
    try:
        import keyring
        from keyring.backends import fail

        ring = keyring.get_keyring()
    except Exception:  # Backends fail in their own ways where there is no desktop.
        return None
    return None if isinstance(ring, fail.Keyring) or ring.priority < 1 else ring
