"""/docs, /redoc, /openapi.json and /health with their assets, and 404 for any unknown path."""

import gzip
from pathlib import Path
from typing import Literal

from slipway.domain.fields import ResponseModel
from slipway.errors import NotFound
from slipway.http.app import Api
from slipway.http.responses import RawResponse

_HERE = Path(__file__).parent
_MEDIA = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
# Only Slipway's own assets, and nothing inline but two <style> elements of ReDoc: an empty one, to
# which it adds rules, and that of its scroll bar. Its search runs in a worker made from a blob.
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Health(ResponseModel):
    status: Literal["ok"] = "ok"


api = Api()
handler = api.handler


@api.get("/health")
def health() -> Health:
    """Check that the platform answers."""
    return Health()


@api.get("/openapi.json")
def openapi() -> RawResponse:
    """The OpenAPI document."""
    text = (_HERE / "openapi.json").read_text(encoding="utf-8")
    return RawResponse(text, "application/json", headers={"Cache-Control": "public, max-age=60"})


@api.get("/")
def root() -> RawResponse:
    """Redirect to the documentation."""
    return RawResponse("", "text/plain", status=302, headers={"Location": "/docs"})


@api.get("/docs")
def swagger() -> RawResponse:
    """The interactive reference."""
    return _page(
        '<link rel="stylesheet" href="/docs/assets/swagger-ui.css"><div id="swagger-ui"></div>'
        '<script src="/docs/assets/swagger-ui-bundle.js"></script>'
        '<script src="/docs/assets/start-swagger-ui.js"></script>'
    )


@api.get("/redoc")
def redoc() -> RawResponse:
    """The reference to read."""
    return _page(
        '<redoc id="redoc" spec-url="/openapi.json"></redoc>'
        '<script src="/docs/assets/redoc.standalone.js"></script>'
    )


@api.get("/docs/errors")
def problems() -> RawResponse:
    """The meaning of each error code, and what to do. The `type` of a problem links here."""
    return _html((_HERE / "errors.html").read_text(encoding="utf-8"))


@api.get("/docs/account")
def account() -> RawResponse:
    """The page behind one-time links: invitations, the proof of an address, new passwords."""
    return _page(
        '<link rel="stylesheet" href="/docs/assets/errors.css"><h1>Slipway</h1><form hidden>'
        '<p><label>Password <input name="password" type="password" required minlength="8" '
        'maxlength="128" autocomplete="new-password"></label> <button>Send</button></p></form>'
        '<p><output></output></p><script src="/docs/assets/account.js"></script>'
    )


@api.get("/docs/assets/<name>")
def asset(name: str) -> RawResponse:
    """An asset of the pages, from npm's swagger-ui-dist and redoc."""
    media = _MEDIA.get(Path(name).suffix)
    # Choose from the existing files, so that no path is built from the request.
    files = {path.name: path for path in (_HERE / "assets").iterdir()}
    headers = {"Cache-Control": "public, max-age=86400", "Vary": "Accept-Encoding"}
    if media and (packed := files.get(f"{name}.gz")):
        body = packed.read_bytes()
        if api.accepts("gzip"):
            return RawResponse(body, media, headers={**headers, "Content-Encoding": "gzip"})
        return RawResponse(gzip.decompress(body), media, headers=headers)
    if media and (plain := files.get(name)):
        return RawResponse(plain.read_bytes(), media, headers=headers)
    raise NotFound("There is no asset with this name.")


def _page(body: str) -> RawResponse:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Slipway</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="/docs/assets/favicon.png"></head><body>{body}</body></html>'
    )
    return _html(text)


def _html(text: str) -> RawResponse:
    return RawResponse(
        text,
        "text/html; charset=utf-8",
        headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY},
    )
