"""An issuer of workloads' tokens with real keys that rotate, and a real HTTP server on loopback."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PLATFORM = "https://k1a2b3c4d5.execute-api.eu-central-1.amazonaws.com"
CONFIGURATION = "/.well-known/openid-configuration"
JWKS = "/.well-known/jwks"

Handle = Callable[[BaseHTTPRequestHandler], None]


def new_key(algorithm: str) -> Any:
    """A private key for the algorithm."""
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def public_jwk(private: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public key as a JSON Web Key."""
    of_kind: dict[Any, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    algorithm = next(each for kind, each in of_kind.items() if isinstance(private, kind))
    found = algorithm.to_jwk(private.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, "kid": kid, "use": "sig", **more}


class Issuer:
    """An issuer, which answers while it is `running`.

    `asked` has the path of each request; `answers` replaces the answer to a path.
    """

    def __init__(self, url: str, algorithm: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.answers: dict[str, Handle] = {}
        self.keys: list[dict[str, Any]] = []
        self.rotate(algorithm)

    def rotate(self, algorithm: str = "RS256", *, keep: bool = True) -> None:
        """Sign with a new key from now on; `keep`: still publish the old ones."""
        self.algorithm = algorithm
        self.private = new_key(algorithm)
        self.kid = secrets.token_hex(8)
        mine = public_jwk(self.private, self.kid, alg=algorithm)
        self.keys = [*(self.keys if keep else []), mine]

    def token(self, *, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of GitHub's form; a claim that is None is left out."""
        now = int(time.time())
        whole = {
            "iss": self.url,
            "aud": PLATFORM,
            "sub": "repo:octo-org/octo-repo:ref:refs/heads/main",
            "repository": "octo-org/octo-repo",
            "repository_id": "456789",
            "repository_owner_id": "123456",
            "ref": "refs/heads/main",
            "jti": "0f1e2d3c",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
        }
        payload = {name: value for name, value in {**whole, **claims}.items() if value is not None}
        headers = {"kid": self.kid, **(header or {})}
        algorithm = headers.pop("alg", self.algorithm)
        return jwt.encode(payload, key or self.private, algorithm=algorithm, headers=headers)

    def document(self, path: str) -> Any:
        """What is published at the path."""
        if path == CONFIGURATION:
            return {"issuer": self.url, "jwks_uri": self.url + JWKS}
        return {"keys": self.keys} if path == JWKS else None


def answer(body: bytes, status: int = 200, **headers: str) -> Handle:
    """An answer with this body; `content_type="…"` is the header Content-Type."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return handle


@contextmanager
def running(algorithm: str = "RS256") -> Iterator[Issuer]:
    """An issuer that answers on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            if self.path in issuer.answers:
                issuer.answers[self.path](self)
            elif (document := issuer.document(self.path)) is not None:
                answer(json.dumps(document).encode())(self)
            else:
                answer(b"{}", 404)(self)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_port}", algorithm)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


def tampered(token: str, **claims: Any) -> str:
    """The token with other claims and its old signature."""
    header, payload, signature = token.split(".")
    body = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = json.dumps({**body, **claims}).encode()
    return f"{header}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}"
