"""Templates of the kinds that are found in public, and what becomes of each.

A template's first lines say it. `Added:` is `accepted`, `warned` with the codes and pointers of all
warnings, or `refused` with the pointers of all faults. Each `Made:` is `accepted` or `refused` with
a pointer, and the inputs with which an environment is made. Every accepted template, with the same
inputs, also becomes a stack of the laptop's CloudFormation (tests/local/test_template_corpus.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.aws import template_bodies
from slipway.domain.ids import ProjectId
from slipway.settings import settings
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.corpus import CORPUS, sample
from tests.support.repository import template
from tests.support.store.cloudformation import CloudFormation

VERSIONS = "/api/v1/templates/sample/versions"


@pytest.fixture(autouse=True)
def _template(ann: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(template_bodies, "_cloudformation", CloudFormation)
    types = template()["Parameters"]["AllowedResourceTypes"]["Default"]
    monkeypatch.setenv("ALLOWED_RESOURCE_TYPES", types)
    settings.cache_clear()
    assert ann.post("/api/v1/templates", {"name": "sample"}).status == 201
    yield
    settings.cache_clear()


def add(owner: Client, body: str) -> Answer:
    return owner.send("POST", VERSIONS, body, media="application/yaml")


@pytest.mark.parametrize("name", CORPUS)
def test_a_template_is_added_warned_about_or_refused(ann: Client, name: str) -> None:
    tried = sample(name)

    answer = add(ann, tried.body)

    if tried.refused:
        assert_refused(answer, 422, "invalid_request", tried.refused[0])
        assert {each["pointer"] for each in answer.json["errors"]} == set(tried.refused)
    else:
        assert answer.status == 201, answer.json
        found = {(each["code"], each["pointer"]) for each in answer.json["warnings"]}
        assert found == set(tried.warned)


@pytest.mark.parametrize("name", [name for name in CORPUS if sample(name).made])
def test_environments_are_made_of_it_or_refused(ann: Client, project: ProjectId, name: str) -> None:
    tried = sample(name)
    version = add(ann, tried.body).headers["location"]
    assert ann.post(f"{version}/publish").status == 200

    for n, (pointer, inputs) in enumerate(tried.made):
        wanted = {"name": f"pr-{n}", "type": "ephemeral", "template": "sample", "inputs": inputs}
        path = f"/api/v1/environments/projects/{project}"
        if pointer is None:
            assert ann.post(path, wanted).status == 201, inputs
        else:
            with nothing_changes():
                answer = ann.post(path, wanted)
            assert_refused(answer, 422, "invalid_request", pointer)


def test_there_are_forty_of_them_and_each_has_a_purpose() -> None:
    assert len(CORPUS) >= 40
    assert len({sample(name).about for name in CORPUS}) == len(CORPUS)
