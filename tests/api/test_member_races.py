"""Two callers change the members of a project at the same time.

Each request of the list is interrupted, between what it reads and what it writes, by each of the
others. Afterwards the project is sound: it has an owner who holds it, or it is gone for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from slipway.domain.ids import ProjectId
from slipway.store import account_records, project_records, table
from tests.support.api.client import Answer, Client
from tests.support.api.members import add, assert_sound, members_of, used
from tests.support.api.registering import (
    NEW,
    administrator,
    quick_passwords,
    register,
    set_parameters,
    user,
)
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")
PROJECTS = "/api/v1/projects"


@dataclass(frozen=True)
class Scene:
    """ann holds the project, bob owns it too, eve maintains it, and dan is no member of it."""

    ann: Client
    bob: Client
    eve: Client
    dan: Client
    project: ProjectId
    invitation: str
    invitation_id: str

    @property
    def path(self) -> str:
        return f"{PROJECTS}/{self.project}"

    def member(self, who: Client | str) -> str:
        id_ = who if isinstance(who, str) else who.user_id
        return f"{members_of(self.project)}/{id_}"


@pytest.fixture
def scene(environ: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    quick_passwords(monkeypatch)
    set_parameters(monkeypatch, REGISTRATION="invite")
    ann, bob, eve, dan = (user(f"{name}@example.com") for name in ("ann", "bob", "eve", "dan"))
    project = world.project(ann.principal)
    add(ann, project, "bob@example.com", "owner")
    add(ann, project, "eve@example.com", "maintainer")
    made = add(bob, project, NEW, "owner").json
    return Scene(ann, bob, eve, dan, project, made["invitation"], made["invitation_id"])


Request = Callable[[Scene], Answer]
REQUESTS: dict[str, Request] = {
    "ann removes bob": lambda s: s.ann.delete(s.member(s.bob)),
    "bob removes ann": lambda s: s.bob.delete(s.member(s.ann)),
    "ann leaves": lambda s: s.ann.post(f"{s.path}/leave"),
    "ann demotes bob": lambda s: s.ann.patch(s.member(s.bob), {"role": "viewer"}),
    "bob demotes ann": lambda s: s.bob.patch(s.member(s.ann), {"role": "viewer"}),
    "ann gives bob the project": lambda s: s.ann.post(
        f"{s.path}/transfer", {"user_id": s.bob.user_id}
    ),
    "bob gives eve the project": lambda s: s.bob.post(
        f"{s.path}/transfer", {"user_id": s.eve.user_id}
    ),
    "eve adds dan": lambda s: add(s.eve, s.project, "dan@example.com", "viewer"),
    "bob removes the invitation": lambda s: s.bob.delete(s.member(s.invitation_id)),
    "the invited registers": lambda s: register(invitation=s.invitation),
    "eve renames the project": lambda s: s.eve.patch(s.path, {"name": "billing"}),
    "bob deletes the project": lambda s: s.bob.delete(s.path),
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("meanwhile", REQUESTS)
def test_two_changes_at_once_leave_a_sound_project(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: str
) -> None:
    answers: list[Answer] = []
    between.first(
        monkeypatch, "TransactWriteItems", lambda: answers.append(REQUESTS[meanwhile](scene))
    )

    answers.append(REQUESTS[name](scene))

    first, second = answers
    assert first.status < 300, first.json
    assert second.status < 500
    assert_sound(scene.project)
    [record] = table.get(project_records.key(scene.project))
    users = (scene.ann, scene.bob, scene.eve)
    assert {each.user_id: used(each.user_id) for each in users} == {
        each.user_id: int(record is not None and record["owner"] == each.user_id) for each in users
    }


def test_two_owners_who_remove_each_other_leave_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Answer] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: answers.append(REQUESTS["bob removes ann"](scene)),
    )

    answers.append(REQUESTS["ann removes bob"](scene))

    assert [each.status for each in answers] == [204, 404]
    assert_sound(scene.project)


def test_an_invitation_that_two_accept_at_once_makes_one_account(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Answer] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: answers.append(register(invitation=scene.invitation)),
    )

    answers.append(register(invitation=scene.invitation))

    assert [each.status for each in answers] == [201, 403]
    assert_sound(scene.project)


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_a_user_who_goes_meanwhile_does_not_join(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    root = administrator()
    path = f"/api/v1/users/{scene.dan.user_id}"

    def goes() -> None:
        assert root.post(f"{path}/disable").status == 200
        if how == "deleted":
            assert root.delete(path).status == 204

    between.first(monkeypatch, "TransactWriteItems", goes)

    answer = add(scene.ann, scene.project, "dan@example.com", "viewer")

    assert (answer.status, answer.json["code"]) == (409, "user_disabled")
    assert_sound(scene.project)


def test_a_user_who_joins_while_being_deleted_leaves_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = administrator()
    path = f"/api/v1/users/{scene.dan.user_id}"
    root.post(f"{path}/disable")

    def joins() -> None:
        root.post(f"{path}/enable")
        add(scene.ann, scene.project, "dan@example.com", "viewer")
        root.post(f"{path}/disable")

    between.first(monkeypatch, "TransactWriteItems", joins)

    assert root.delete(path).status == 429
    assert root.delete(path).status == 204
    assert account_records.administrators() == 1
    assert_sound(scene.project)
