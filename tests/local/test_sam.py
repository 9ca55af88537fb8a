"""`make sam-local` up to the containers: the engine, the address, the command, the build."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.platform import HERE, Platform
from local.sam import build, engine, front
from tests.support.local.platform import copy_of_app

LINUX: dict[str, Any] = {
    "name": "box, Debian GNU/Linux 12 27.1",
    "gateway": "172.17.0.1",
    "desktop": False,
    "rootless": False,
}


def network(name: str, *subnets: dict[str, str]) -> dict[str, Any]:
    return {"Name": name, "IPAM": {"Config": list(subnets)}}


# --- the engine -----------------------------------------------------------------------------


def test_without_an_engine_it_says_so_and_builds_nothing(tmp_path: Path) -> None:
    root = copy_of_app(tmp_path)
    (root / ".venv-sam").symlink_to(HERE / ".venv-sam")
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "PYTHONPATH": str(HERE)}

    run = subprocess.run(
        [sys.executable, "-m", "local.sam"],
        cwd=root,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 1
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    assert line.startswith("make sam-local needs a container engine, and SAM CLI found none:")
    assert not (root / ".slipway").exists()


def test_the_gateway_is_that_of_the_network_that_containers_join() -> None:
    docker = [network("host"), network("bridge", {"Subnet": "172.17.0.0/16"})]
    told = [network("bridge", {"Subnet": "10.0.0.0/8", "Gateway": "10.0.0.9"}), network("podman")]
    podman = [network("x", {"Gateway": "10.1.0.1"}), network("podman", {"Gateway": "10.88.0.1"})]

    assert engine.gateway(docker) == "172.17.0.1"
    assert engine.gateway(told) == "10.0.0.9"
    assert engine.gateway(podman) == "10.88.0.1"
    assert engine.gateway([network("none")]) == ""


def test_an_engine_is_described_by_what_it_says_of_itself() -> None:
    podman = [network("podman", {"Gateway": "10.88.0.1"})]
    rootless = {"SecurityOptions": ["name=seccomp", "name=rootless"], "Name": "box"}

    assert engine.described({"Name": "box"}, podman)["gateway"] == "10.88.0.1"
    assert not engine.described({"Name": "box"}, podman)["rootless"]
    assert engine.described(rootless, podman)["rootless"]
    assert engine.described({"OperatingSystem": "Docker Desktop"}, [])["desktop"]


# --- the address ----------------------------------------------------------------------------


def test_aws_listens_on_the_bridge_and_containers_are_told_its_address() -> None:
    assert front.addresses(LINUX, "") == ("172.17.0.1", "172.17.0.1")


def test_a_host_that_is_given_wins() -> None:
    assert front.addresses(LINUX, "192.168.1.20") == ("192.168.1.20", "192.168.1.20")


def test_with_docker_desktop_aws_stays_on_loopback() -> None:
    assert front.addresses(LINUX | {"desktop": True}, "") == ("", "host.docker.internal")


@pytest.mark.parametrize("change", [{"rootless": True}, {"gateway": ""}], ids=str)
def test_without_a_known_address_one_must_be_given(change: dict[str, Any]) -> None:
    with pytest.raises(front.NoEngine, match=r"make sam-local HOST="):
        front.addresses(LINUX | change, "")


def test_a_host_that_is_not_an_address_of_this_machine_is_reported_in_one_line(
    tmp_path: Path,
) -> None:
    root = copy_of_app(tmp_path)

    run = subprocess.run(
        [sys.executable, "-m", "local.sam"],
        cwd=root,
        env=os.environ | {"HOST": "192.0.2.1", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert run.returncode == 1
    [line] = run.stderr.splitlines()
    assert line.startswith("HOST=192.0.2.1 is no address of this machine")


def reached(host: str, endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, int(endpoint.rpartition(":")[2]))) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_aws_listens_beyond_loopback_only_where_it_is_asked_to(
    platform: Platform, tmp_path: Path
) -> None:
    with Platform(copy_of_app(tmp_path), beyond="127.0.0.2", bare=True) as wider:
        at = wider.endpoint_at("127.0.0.2")

        assert reached("127.0.0.2", at)
        assert reached("127.0.0.1", wider.endpoint)
        assert not reached("127.0.0.3", at)
        assert not reached("127.0.0.2", wider.url)

    assert not reached("127.0.0.2", platform.endpoint)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere engines have no bridge")
def test_a_bridge_that_is_still_to_be_made_can_be_listened_on(tmp_path: Path) -> None:
    """Podman makes its bridge with the first container."""
    with Platform(copy_of_app(tmp_path), beyond="192.0.2.1", bare=True) as early:
        assert reached("127.0.0.1", early.endpoint)


# --- the command and the build --------------------------------------------------------------


def test_sam_cli_keeps_containers_and_pulls_no_image_that_is_there() -> None:
    files = front.Files(Path("/t.json"), Path("/v.json"))

    command = front.command(Path("/bin"), files, 3000, {"Architecture": "x86_64"}, ["--debug"])

    assert command[:3] == ["/bin/sam", "local", "start-api"]
    assert command[command.index("--warm-containers") + 1] == "LAZY"
    assert command[command.index("--env-vars") + 1] == "/v.json"
    assert command[-3:] == ["--parameter-overrides", "Architecture=x86_64", "--debug"]
    assert "--skip-pull-image" in command
    assert "--docker-network" not in command


def test_the_same_sources_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, sam = copy_of_app(tmp_path), tmp_path / "bin"
    (root / "samconfig.toml").write_text("")
    (root / "local").mkdir()
    (root / "local" / "sam.lock").write_text("aws-sam-cli==1")
    builds: list[Path] = []

    def made(root: Path, target: Path, sam: Path, parameters: dict[str, str]) -> None:
        builds.append(target)
        (target / "template.yaml").write_text("Resources: {}")

    monkeypatch.setattr(build, "_build", made)
    cache, arm = tmp_path / ".slipway", {"Architecture": "arm64"}

    first = build.built(root, cache, sam, arm)
    again = build.built(root, cache, sam, arm)
    other = build.built(root, cache, sam, {"Architecture": "x86_64"})
    (root / "layers" / "core" / "fixturelib" / "__init__.py").write_text("changed = True")
    changed = build.built(root, cache, sam, arm)

    assert first == again
    assert len({first, other, changed}) == len(builds) == 3
    assert (changed / "template.yaml").exists()
    assert not list(cache.glob("building-*"))
