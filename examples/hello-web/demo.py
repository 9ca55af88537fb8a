"""Publish a template, create an environment from it, deploy v1 and v2, and request its page.

    python3 examples/hello-web/demo.py [URL]

URL is the address of Slipway, by default http://127.0.0.1:8000. Needs only Python. The environment
lives for an hour.
"""

import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("template.yaml")
ENDED = {"failed", "rolled_back", "destroyed", "canceled", "superseded"}
PATIENCE_SECONDS = 900


class Slipway:
    """A client of the API."""

    def __init__(self, url: str) -> None:
        self.url, self.token = url.rstrip("/"), ""

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        data = body.encode() if isinstance(body, str) else body and json.dumps(body).encode()
        headers = {"Content-Type": kind} if body else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            # The scheme is the operator's own argument.
            with urllib.request.urlopen(request, timeout=30) as answer:  # nosec B310
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                sys.exit(f"{method} {path}: {refused.code} {refused.read().decode()}")
        except urllib.error.URLError as error:
            sys.exit(f"{self.url} does not answer ({error.reason}). Start it with `make local`.")

    def sign_in(self) -> None:
        # A password of its own, because the platform that the demo runs against may be public.
        someone = {
            "email": f"demo-{secrets.token_hex(4)}@example.com",
            "password": secrets.token_urlsafe(),
        }
        self.ask("POST", "/api/v1/auth/register", someone)
        login = {"username": someone["email"], "password": someone["password"]}
        self.token = self.ask("POST", "/api/v1/auth/login", login)["access_token"]

    def wait_for(self, path: str, wanted: str) -> Any:
        """The object at the path, once it has this status."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (seen := self.ask("GET", path))["status"] not in {wanted, *ENDED}:
            if time.monotonic() > until:
                sys.exit(f"{path} is still {seen['status']}")
            time.sleep(0.5)
        if seen["status"] != wanted:
            sys.exit(f"{path} is {seen['status']}: {seen.get('failure')}")
        return seen


def main(url: str = "http://127.0.0.1:8000") -> None:
    slipway = Slipway(url)
    slipway.sign_in()

    name = f"hello-web-{secrets.token_hex(3)}"
    slipway.ask("POST", "/api/v1/templates", {"name": name, "description": "A web function."})
    versions = f"/api/v1/templates/{name}/versions"
    added = slipway.ask("POST", versions, TEMPLATE.read_text(), kind="application/yaml")
    slipway.ask("POST", f"{versions}/{added['version']}/publish")
    say(f"{name}@{added['version']} is published")

    project = slipway.ask("POST", "/api/v1/projects", {"name": name})["id"]
    wanted = {
        "name": "preview",
        "type": "ephemeral",
        "ttl_hours": 1,
        "template": name,
        "inputs": {"Greeting": "Hello"},
    }
    made = slipway.ask("POST", f"/api/v1/environments/projects/{project}", wanted)
    environment = slipway.wait_for(f"/api/v1/environments/{made['id']}", "running")
    say(f"{made['id']} is running, at {environment['base_url']}")
    curl(environment["base_url"])

    for version in ("v1", "v2"):
        path = f"/api/v1/deployments/environments/{made['id']}"
        deployment = slipway.ask("POST", path, {"version": version})
        slipway.wait_for(f"/api/v1/deployments/{deployment['id']}", "succeeded")
        say(f"{version} is live")
        said = curl(environment["base_url"])
        if f"version {version}" not in said:
            sys.exit(f"{version} was deployed, but the page shows another version")


def curl(url: str) -> str:
    print(f"$ curl {url}")
    # Slipway made the URL.
    with urllib.request.urlopen(url, timeout=30) as answer:  # nosec B310
        said: str = answer.read().decode()
    print(said, end="", flush=True)
    return said


def say(line: str) -> None:
    print(f"# {line}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
