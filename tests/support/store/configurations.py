"""Values of variables."""

from __future__ import annotations

import random

_LETTERS = [chr(n) for n in range(32, 127) if chr(n) not in '"\\{']


def noise(seed: int, length: int = 4096) -> str:
    """A value that cannot be deflated much."""
    return "".join(random.Random(seed).choices(_LETTERS, k=length))
