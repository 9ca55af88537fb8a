"""Publish a template, create an environment from it, deploy v1 and v2, set a variable and a secret,
and request its page each time.

    python3 examples/hello-web/demo.py [URL]

URL is the address of Slipway, by default http://127.0.0.1:8000. Needs only Python. The environment
lives for an hour. It registers a user of its own, or signs in with SLIPWAY_EMAIL and
SLIPWAY_PASSWORD: where registration is not open, a user with the platform role publisher.
"""

import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("template.yaml")
NEEDS_A_USER = """
The demo cannot register a user of its own there. Sign in with yours, which needs the platform role
publisher or admin, because the demo publishes a template:

  SLIPWAY_EMAIL=you@example.com SLIPWAY_PASSWORD=… make demo API={url}

The operator's `make admin EMAIL=you@example.com STACK=…` makes the first user.
"""
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
                said = refused.read().decode()
            help_ = NEEDS_A_USER.format(url=self.url) if refused.code == 403 else ""
            sys.exit(f"{method} {path}: {refused.code} {said}\n{help_}".rstrip())
        except urllib.error.URLError as error:
            sys.exit(f"{self.url} does not answer ({error.reason}). Start it with `make local`.")

    def sign_in(self) -> None:
        email, password = os.environ.get("SLIPWAY_EMAIL"), os.environ.get("SLIPWAY_PASSWORD")
        if not (email and password):
            email, password = f"demo-{secrets.token_hex(4)}@example.com", "hello, web!"
            someone = {"email": email, "password": password}
            if "id" not in self.ask("POST", "/api/v1/auth/register", someone):
                # The platform sends mail, and nobody receives this one.
                sys.exit(NEEDS_A_USER.format(url=self.url).strip())
        login = {"username": email, "password": password}
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

    here = f"/api/v1/environments/{made['id']}"
    slipway.ask("PUT", f"{here}/secrets/API_KEY", {"value": secrets.token_hex(16)})
    variables = {"MESSAGE": "Open on Sunday"}
    changed = slipway.ask("PATCH", f"{here}/variables?apply=now", variables)
    slipway.wait_for(f"/api/v1/deployments/{changed['deployment_id']}", "succeeded")
    say(f"configuration {changed['configuration']} is live: a variable and a secret")
    if variables["MESSAGE"] not in curl(environment["base_url"]):
        sys.exit("The variable was deployed, but the page does not show it")


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
