"""Sessions of workloads: what a request with a token of the exchange depends on.

The trust is read in place of a person's account. Deleting it refuses the next request, and its
scopes and tiers apply as they are now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.domain.ids import TrustId
from slipway.domain.rights import Grant
from slipway.errors import TrustEnded
from slipway.store import project_records
from slipway.store.actions import Key
from slipway.store.sessions import Found, Session

if TYPE_CHECKING:
    from slipway.domain.rights import Kind


class WorkloadSession(Session):
    """A workload's session; `subject` is its name, as its issuer calls it."""

    kind: Kind = "workload"

    def __init__(self, trust: TrustId, subject: str, ends: float, fingerprint_key: str) -> None:
        super().__init__(str(trust), str(trust), fingerprint_key)
        self.ends = ends
        self.name = subject
        self._project = str(trust.project)
        self._key = project_records.member(trust, str(trust))

    def keys(self) -> list[Key]:
        return [self._key]

    def _check(self, found: Found) -> None:
        trust = found.get(self._key)
        if not trust:
            raise TrustEnded()
        tiers = trust.get("tiers")
        self.grant = Grant(
            scopes=frozenset(trust["scopes"]),
            project_ids=frozenset([self._project]),
            tiers=None if tiers is None else frozenset(tiers),
        )
