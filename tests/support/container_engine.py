"""A container engine that says where it is and runs nothing: Docker's API as far as SAM CLI asks
before it starts a container.

https://docs.docker.com/reference/api/engine/version/v1.44/
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


@contextmanager
def engine(socket: Path, gateway: str) -> Iterator[str]:
    """The engine's DOCKER_HOST; `gateway` is its own address in the network of its containers."""
    answers: dict[str, Any] = {
        "/info": {"Name": "test", "OperatingSystem": "Debian", "ServerVersion": "27"},
        "/networks": [{"Name": "bridge", "IPAM": {"Config": [{"Gateway": gateway}]}}],
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = "/" + self.path.partition("?")[0].rpartition("/")[2]
            answer = b"OK" if asked == "/_ping" else json.dumps(answers.get(asked, {})).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            request, _ = super().get_request()
            return request, ("", 0)  # the handler wants an address, which a Unix socket has not

    with Server(str(socket), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{socket}"
        server.shutdown()
