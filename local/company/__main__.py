"""`make company`: serve a company's sign-in for a platform of `make local`.

python -m local.company [port] [the platform's URL]
"""

import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from local.company.app import App
from local.company.provider import Client, Provider

CALLBACK = "/api/v1/auth/oidc/callback"
CLIENT_ID, SECRET = "slipway", "a-secret-for-this-machine-only"
PEOPLE = {
    "ann": {"email": "ann@example.com", "email_verified": True, "groups": ["platform"]},
    "bob": {"email": "bob@example.com", "email_verified": True, "groups": ["web"]},
    "eve": {"email": "ann@example.com", "email_verified": False, "groups": ["platform"]},
}


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


def serve(port: int, platform: str) -> None:
    """Serve until Ctrl-C."""
    # OAuth 2 asks for https, and there is none on loopback.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    url = f"http://127.0.0.1:{port}"
    provider = Provider(url, Client(CLIENT_ID, SECRET, {platform + CALLBACK}))
    provider.people |= PEOPLE
    with make_server("127.0.0.1", port, App(provider), Server, Quiet) as server:
        print(f"""The company's people: {url}/

make local PARAMETERS="OidcIssuer={url} OidcClientId={CLIENT_ID} OidcClientSecret={SECRET} \\
  OidcGroups='platform=admin;web=publisher'"

Then open {platform}/api/v1/auth/oidc/login in a browser. Ctrl-C ends this.""")
        server.serve_forever()


if __name__ == "__main__":
    port, platform = [*sys.argv[1:], *("9400", "http://127.0.0.1:8000")[len(sys.argv) - 1 :]][:2]
    try:
        serve(int(port), platform.rstrip("/"))
    except KeyboardInterrupt:
        print()
