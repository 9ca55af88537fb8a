"""Random users, faults and time, compared with a second, pure model of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from slipway.domain import timestamps
from slipway.domain.environment import OnConflict
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.errors import (
    DeploymentFinished,
    EnvironmentGoing,
    EnvironmentNotReady,
    NameTaken,
    NoLease,
    QueueBusy,
    TtlExceedsPolicy,
)
from tests.support.workflows import faults
from tests.support.workflows.invariants import broken
from tests.support.workflows.world import World

pytestmark = [pytest.mark.no_cover, pytest.mark.independent]


EXAMPLES = 40
# The calls of each example that came to its end.
examples: list[int] = []
# By then everything that does not wait for an end has come to its own, also with one fault.
A_WHILE = 240
NAMES = st.sampled_from(["one", "two", "three"])
# The script of an environment that refuses the version `bad`.
BAD = {"ship": {"version": "bad", "refuse": "No such image"}}
MODES: list[OnConflict] = ["queue", "supersede", "cancel_running", "reject"]


@dataclass
class Model:
    """The model's knowledge of an environment, without reading its record."""

    id: EnvironmentId
    hours: float | None
    ends: datetime | None
    most: datetime | None
    pinned: bool = False
    deleted: bool = False
    busy: bool = False

    def over(self) -> bool:
        return self.deleted or (self.ends is not None and self.ends <= timestamps.now())


class Slipway(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(simulated_seconds=0.5)
        self.world.__enter__()
        self.world.use(self.world.new_project("payments", warn_before_hours=[1, 0.1]))
        self.living: dict[str, Model] = {}
        self.gone: list[Model] = []
        self.open: set[DeploymentId] = set()
        self.ended: dict[DeploymentId, str] = {}

    def teardown(self) -> None:
        try:
            self.pass_time(A_WHILE)
            for _ in range(3):
                self.world.recover()
            assert broken(self.world) == []
            examples.append(len(self.world.calls.made))
        finally:
            self.world.__exit__()

    # ── Users ───────────────────────────────────────────────────────────────────────────────

    @rule(name=NAMES, hours=st.sampled_from([None, 0.5, 1, 4]))
    def create(self, name: str, hours: float | None) -> None:
        try:
            made = self.world.environment(hours, name, simulate=BAD)
        except NameTaken:
            assert name in self.living
            return
        before = self.living.pop(name, None)
        if before:
            # It was on its way out, and has gone.
            assert before.over()
            self.gone.append(before)
        record = self.world.look(made)
        ends = datetime.fromisoformat(record["expires_at"]) if hours else None
        most = datetime.fromisoformat(record["max_expires_at"]) if hours else None
        self.living[name] = Model(made, hours, ends, most)

    @precondition(lambda self: self.living)
    @rule(data=st.data(), mode=st.sampled_from(MODES), version=st.sampled_from(["v1", "bad"]))
    def deploy(self, data: st.DataObject, mode: OnConflict, version: str) -> None:
        model = self._one_of(data)
        over = model.over()
        try:
            made = self.world.deploy(model.id, version, on_conflict=mode)
        except EnvironmentNotReady:
            assert over
        except QueueBusy:
            assert mode == "reject" and model.busy
        else:
            assert not over
            model.busy = True
            self.open.add(made)

    @precondition(lambda self: self.open or self.ended)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        deployment = data.draw(st.sampled_from(sorted({*self.open, *self.ended})))
        try:
            shown = self.world.cancel(deployment)
        except DeploymentFinished as told:
            status = self.world.look(deployment)["status"]
            assert told.extra == {"deployment_status": self.ended.get(deployment, status)}
        else:
            assert deployment not in self.ended
            assert shown in ("pending", "running", "canceled")

    @precondition(lambda self: self.living)
    @rule(data=st.data(), hours=st.sampled_from([0.25, 2, 1000]))
    def extend(self, data: st.DataObject, hours: float) -> None:
        model = self._one_of(data)
        over, leased = model.over(), model.ends is not None
        before = timestamps.now()
        try:
            shown = self.world.extend(model.id, hours)
        except (NoLease, TtlExceedsPolicy, EnvironmentGoing) as told:
            wanted = {NoLease: not leased, TtlExceedsPolicy: hours == 1000, EnvironmentGoing: over}
            assert wanted[type(told)]
            return
        assert leased and not over and model.ends and shown.expires_at
        late = shown.expires_at - max(model.ends, timestamps.hours_after(before, hours))
        assert timedelta(0) <= late < timedelta(seconds=1)
        model.ends = shown.expires_at

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def pin_or_unpin(self, data: st.DataObject) -> None:
        model = self._one_of(data)
        over = model.over()
        try:
            act = self.world.unpin if model.pinned else self.world.pin
            shown = act(model.id)
        except (NoLease, EnvironmentGoing) as told:
            assert over or (isinstance(told, NoLease) and model.hours is None)
            return
        assert not over and model.hours is not None
        model.pinned = not model.pinned
        model.ends = shown.expires_at
        assert (model.ends is None) == model.pinned

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        model = self._one_of(data)
        assert self.world.delete(model.id) in ("tearing_down", "expiring", "destroyed")
        model.deleted = True

    # ── Time, and what goes wrong ───────────────────────────────────────────────────────────

    @rule(seconds=st.sampled_from([1, 2, 5, A_WHILE, 1200, 4000]))
    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)
        if seconds < A_WHILE:
            return
        for name, model in list(self.living.items()):
            status = self.world.look(model.id)["status"]
            if model.over() and status != "destroyed":
                # Its end came in the last moment; it will have gone the next time.
                assert status in ("expiring", "tearing_down") or not model.deleted
            elif model.over():
                self.gone.append(self.living.pop(name))
            else:
                assert status == "running"
            model.busy = False
        for deployment in list(self.open):
            record = self.world.look(deployment)
            went = ("rolled_back", "failed") if record["version"] == "bad" else ("succeeded",)
            assert record["status"] in (*went, "canceled", "superseded")
            self.open.discard(deployment)
            self.ended[deployment] = record["status"]
        for model in self.gone:
            assert self.world.look(model.id)["status"] == "destroyed"

    @rule(
        where=st.sampled_from(
            [
                "stream > lambda dispatch",
                "dispatch > dynamodb *",
                "dispatch > states *",
                "* > lambda *",
                "*/* > dynamodb *",
                "* > driver *",
            ]
        ),
        fault=st.sampled_from(sorted(faults.FAULTS)),
    )
    def something_goes_wrong(self, where: str, fault: str) -> None:
        self.world.when(where, faults.FAULTS[fault])

    @rule()
    def reconcile(self) -> None:
        assert self.world.reconcile()["failed"] == 0

    def _one_of(self, data: st.DataObject) -> Model:
        return self.living[data.draw(st.sampled_from(sorted(self.living)))]


def test_the_platform_agrees_with_the_model(environ: None) -> None:
    settled = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )

    run_state_machine_as_test(Slipway, settings=settled)

    assert len(examples) >= EXAMPLES
