"""The members of a project, as the API and the table have them."""

from __future__ import annotations

from slipway.domain.ids import ProjectId
from slipway.store import account_records, project_records, quota_records, table
from slipway.store.member_records import SHOWN
from slipway.store.table import Update
from slipway.store.wire import decode
from tests.support.api.client import Answer, Client
from tests.support.store import world


def members_of(project: ProjectId) -> str:
    """The path of the project's members."""
    return f"/api/v1/projects/{project}/members"


def add(caller: Client, project: ProjectId, email: str, role: str, **overrides: str) -> Answer:
    """Let the caller add the address to the project."""
    body = {"email": email, "role": role, "overrides": overrides}
    return caller.post(members_of(project), body)


def roles(caller: Client, project: ProjectId) -> dict[str, str]:
    """The role of each member, by the address."""
    return {
        each["email"]: each["role"]
        for each in caller.get(members_of(project)).json
        if each["status"] == "active"
    }


def is_disabled(user_id: str) -> None:
    """The account is disabled, and nothing else happens."""
    values = {"disabled": "disabled"}
    table.write(Update(account_records.key(user_id), "SET #status = :disabled", values))


def used(user_id: str) -> int:
    """How many projects the user's quota counts."""
    [counter] = table.get(quota_records.projects_of(user_id))
    return int(counter["used"]) if counter else 0


def is_of_an_earlier_release(project: ProjectId, user_id: str) -> None:
    """The project's items as they were before a project could have other members."""
    key = project_records.key(project)
    table.write(Update(key, "REMOVE #members, #seats, #owners", {}))
    table.write(Update(project_records.member(project, user_id), "REMOVE user_id", {}))


def has_seats(project: ProjectId, seats: int) -> None:
    """The project's record counts so many members and invitations."""
    table.write(Update(project_records.key(project), "SET #seats = :seats", {"seats": seats}))


def counters(project: ProjectId) -> tuple[int, int, int]:
    """How many members, seats and owners the project's record counts."""
    [item] = table.get(project_records.key(project))
    return (item["members"], item["seats"], item["owners"])


def counted(project: ProjectId) -> tuple[int, int, int]:
    """How many there are."""
    pk = f"PROJECT#{project.p}"
    members = [each for each in table.query(pk, "MEMBER#usr_", limit=100)[0]]
    invited = table.query(pk, "INVITED#", limit=100)[0]
    owners = [each for each in members if each["role"] == "owner"]
    return len(members), len(members) + len(invited), len(owners)


def assert_sound(project: ProjectId) -> None:
    """The project has an owner who holds it, its counters are right, and each list tells it.

    Or it is gone, but for the note that dispatch has yet to look at.
    """
    items = [decode(each) for each in world.everything()]
    here = {each["sk"]: each for each in items if each["pk"] == f"PROJECT#{project.p}"}
    lists = {
        each["pk"].removeprefix("USER#"): each
        for each in items
        if each["pk"].startswith("USER#") and each["sk"] == f"PROJECT#{project.p}"
    }
    names = [
        each["pk"].removeprefix("USER#")
        for each in items
        if each["sk"].startswith("NAME#") and each.get("project_id") == str(project)
    ]
    if "PROJECT" not in here:
        assert (set(here), lists, names) == ({"ENDED"}, {}, [])
        return
    record = here["PROJECT"]
    members = {sk.removeprefix("MEMBER#"): each for sk, each in here.items() if "MEMBER#" in sk}
    assert members[record["owner"]]["role"] == "owner"
    assert counters(project) == counted(project)
    assert names == [record["owner"]]
    assert set(lists) == set(members)
    for user_id, listed in lists.items():
        assert listed["role"] == members[user_id]["role"]
        assert bool(listed.get("shared")) == (user_id != record["owner"])
        assert {name: listed.get(name) for name in SHOWN} == {
            name: record.get(name) for name in SHOWN
        }
    invitations = {each["id"] for each in items if each["pk"] == "INVITE#ALL"}
    seats = {sk.removeprefix("INVITED#") for sk in here if sk.startswith("INVITED#")}
    assert seats == {each for each in invitations if project.p in each}
