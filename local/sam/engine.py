"""The container engine that SAM CLI would use, and this machine's address for its containers.

It runs under SAM CLI's Python and asks the same client, so that both find the same engine. Prints
{"name": …, "gateway": …, "desktop": …}; without an engine it exits with 1 and SAM CLI's reason.
"""

import ipaddress
import json
import sys
from typing import Any

NETWORKS = ("bridge", "podman")  # the default network of a container, by engine


def gateway(networks: list[dict[str, Any]]) -> str:
    """The engine's address in the containers' default network; "" if unknown."""
    by_name = {network["Name"]: network for network in networks}
    for name in NETWORKS:
        for subnet in (by_name.get(name, {}).get("IPAM") or {}).get("Config") or []:
            if subnet.get("Gateway"):
                return str(subnet["Gateway"])
            if subnet.get("Subnet"):  # Docker omits the gateway until a container has run
                return str(ipaddress.ip_network(subnet["Subnet"])[1])
    return ""


def described(info: dict[str, Any], networks: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts about the engine that `python -m local.sam` needs.

    `in_a_machine`: its containers run in a virtual machine or in a user namespace, where the
    gateway is not an address of this machine.
    """
    system = str(info.get("OperatingSystem", ""))
    desktop = "Docker Desktop" in system or sys.platform == "darwin"
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or [])
    return {
        "name": f"{info.get('Name', 'engine')}, {system} {info.get('ServerVersion', '')}".strip(),
        "gateway": gateway(networks),
        "desktop": desktop,
        "rootless": rootless,
    }


def main() -> int:
    from samcli.local.docker.utils import get_validated_container_client

    try:
        client = get_validated_container_client()
        found = described(client.info(), client.api.networks())
    except Exception as error:  # errors of the client, of requests, or of the engine
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
