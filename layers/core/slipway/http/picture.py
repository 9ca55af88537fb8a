"""The response that is an SVG picture."""

from __future__ import annotations

import hashlib

from slipway.domain.pictures import MEDIA, POLICY
from slipway.http.responses import DocumentResponse


def rendered(svg: str) -> DocumentResponse:
    """The picture, with an ETag of its content. A browser may apply its style and nothing else."""
    headers = {
        "ETag": f'"{hashlib.sha256(svg.encode()).hexdigest()[:16]}"',
        "Content-Security-Policy": POLICY,
    }
    return DocumentResponse(svg, MEDIA, headers=headers)
