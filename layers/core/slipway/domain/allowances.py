"""The allowances that the stack's parameters give to templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Increases when the rules become stricter: versions that were added before are then checked again
# when an environment is made of them.
RULES = 3

MEMORY, RESERVED, PROVISIONED, THROUGHPUT = "memory", "reserved", "provisioned", "throughput"
PARAMETERS: Mapping[str, str] = {
    MEMORY: "MaxMemoryMB",
    RESERVED: "MaxReservedConcurrency",
    PROVISIONED: "MaxProvisionedConcurrency",
    THROUGHPUT: "MaxThroughputUnits",
}


@dataclass(frozen=True)
class Allowances:
    """The stack's parameters for templates.

    stack      the name of Slipway's stack, under which values are shared with environments
    types      patterns of resource types
    buckets    the buckets that code may come from
    accounts   the accounts that functions, queues and topics may be opened to
    limits     the greatest capacity of each kind; memory is per function, the others are sums
    """

    types: Sequence[str]
    buckets: Sequence[str] = ()
    accounts: Sequence[str] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    stack: str = ""

    @property
    def digest(self) -> str:
        """Changes with the rules, and with everything that they depend on."""
        told = [RULES, list(self.types), list(self.buckets), list(self.accounts), self.stack]
        text = json.dumps([*told, dict(self.limits)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
