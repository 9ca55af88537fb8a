"""Sockets on which the emulator will listen."""

import errno
import socket
import sys

LOOPBACK = "127.0.0.1"


class PortInUse(Exception):
    """Another process listens on the port."""


def bound(port: int, host: str = LOOPBACK) -> socket.socket:
    """A bound socket.

    Raises PortInUse if another process has the port, OSError if `host` is no address of this
    machine.
    """
    with socket.socket() as probe:
        # On macOS a bind succeeds beside another process's wildcard bind, so connect as well.
        if port and host == LOOPBACK and probe.connect_ex((LOOPBACK, port)) == 0:
            raise PortInUse(port)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind(made, host, port)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise
        raise PortInUse(port) from error
    return made


def bound_to_first_free(ports: list[int]) -> socket.socket:
    """A socket bound to the first of these ports that is free, or to any free one."""
    for port in ports:
        try:
            return bound(port)
        except (PortInUse, PermissionError):
            continue
    return bound(0)


def _bind(unbound: socket.socket, host: str, port: int) -> None:
    """Bind the socket; on Linux also to the address of a bridge that does not exist yet.

    Podman creates its bridge when the first container starts.
    """
    try:
        unbound.bind((host, port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL or sys.platform != "linux":
            raise
        unbound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        unbound.bind((host, port))


_IP_FREEBIND = 15  # linux/in.h; Python has no name for it
