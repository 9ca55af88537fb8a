"""Memory: each function's peak, and the effect of more memory.

Lambda gives a function processor time in proportion to its memory, which therefore decides how long
its work takes and what it costs. The benchmark of warm requests measured the work; the time with
other memory sizes is calculated.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from benchmarks.cost import PRICES, memory
from benchmarks.shipped import DAILY, FIRST, all_ready, recorded, shipped
from benchmarks.support import bars, save, saved, show

SIZES = (128, 256, 512, 1024, 1769)


# A process's peak includes its parent's memory at the fork, so its parent is small.
_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peaks() -> dict[str, float]:
    """Each function's peak in megabytes until its first answer."""
    asked = recorded({**FIRST, "auth, sign in": DAILY["sign in"]})
    with shipped() as here, all_ready(here, asked, tls=True) as commands:
        return {
            name: int(
                subprocess.check_output([sys.executable, "-S", "-c", _PEAK, *command], env=environ)
            )
            / 1024
            for name, (command, environ) in commands.items()
        }


def billed(milliseconds: float, megabytes: int, waiting: float) -> tuple[float, float]:
    """The billed milliseconds of some work with this memory, and dollars for a million."""
    share = min(1.0, megabytes / PRICES["lambda"]["mb_of_a_processor"])
    took = milliseconds / share + waiting
    return took, took / 1000 * megabytes / 1024 * PRICES["lambda"]["gb_second"] * 1e6


def main() -> None:
    held = peaks()
    rows = [(name, megabytes, memory(name.partition(",")[0])) for name, megabytes in held.items()]
    show("Peak and configured memory, MB", ("", "peak", "configured"), rows)
    wait = PRICES["assumed"]["world"]["round_trip_ms"]
    warm = saved("warm_request")
    work = {
        "sign in": median(run["cpu"] for run in warm["sign in/slipway"]) / 1000,
        "get environment": median(run["cpu"] for run in warm["get environment/slipway"]) / 1000,
    }
    table = [
        (size, *(each for ms in work.values() for each in billed(ms, size, wait))) for size in SIZES
    ]
    header = ["MB"]
    for name in work:
        header += [f"{name}, ms", "$ a million"]
    show("Effect of more memory", header, table)
    bars(
        "memory",
        "Signing in (argon2id), milliseconds by the function's memory",
        {f"{size} MB": {"": billed(work["sign in"], size, wait)[0]} for size in SIZES},
        "ms",
    )
    save("memory", {"peaks": held, "work ms": work, "table": table})


if __name__ == "__main__":
    main()
