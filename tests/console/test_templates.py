"""Templates in the console: added, published, replaced, deleted, and refused."""

from __future__ import annotations

import pytest

from slipway.aws import template_bodies
from tests.support.console import Browser, elements, form, texts
from tests.support.store.cloudformation import CloudFormation

BODY = """# A queue.
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups: [{Label: {default: Sizing}, Parameters: [Size]}]
    ParameterLabels: {Size: {default: How big}}
Parameters:
  Size: {Type: String, AllowedValues: [small, large], Default: small}
  Password: {Type: String, NoEcho: true, MinLength: 8}
Resources:
  Jobs: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: 1}}
Outputs: {Queue: {Value: !Ref Jobs}}
"""


@pytest.fixture(autouse=True)
def _validates(monkeypatch: pytest.MonkeyPatch) -> None:
    word = CloudFormation()
    monkeypatch.setattr(template_bodies, "_cloudformation", lambda: word)


@pytest.fixture
def web(ann: Browser) -> str:
    """The page of a template of hers."""
    made = ann.submit("/console/templates", "/console/templates", {"name": "web"})
    assert made.headers["location"] == "/console/templates/web?done=created"
    return "/console/templates/web"


def add(ann: Browser, web: str, body: str = BODY, version: str = "") -> str:
    """The page of a new version."""
    # Browsers end lines so.
    fields = {"body": body.replace("\n", "\r\n"), "version": version}
    answer = ann.submit(web, f"{web}/versions", fields)
    assert answer.status == 303, texts(answer.text)
    return answer.headers["location"].partition("?")[0]


def test_a_version_is_added_replaced_and_published(ann: Browser, web: str) -> None:
    draft = add(ann, web)
    page = ann.get(draft).text
    assert "draft" in texts(page)
    assert BODY in page.replace("&amp;", "&").replace("&#39;", "'").replace("&quot;", '"')

    assert ann.submit(draft, draft, {"body": BODY + "# More.\n"}).status == 303
    assert "# More." in ann.get(draft).text
    assert ann.submit(draft, f"{draft}/publish").status == 303

    page = ann.get(draft).text
    assert "published" in texts(page)
    assert f"{draft}/deprecate" in page and f"{draft}/discard" not in page
    assert ann.submit(draft, f"{draft}/deprecate").status == 303
    assert "deprecated" in texts(ann.get(web).text)


def test_a_version_shows_its_inputs_in_groups(ann: Browser, web: str) -> None:
    said = texts(ann.get(add(ann, web)).text)

    assert "Sizing Name Type Default Allowed Description How big Size String small" in said
    assert "Others Name Type Default Allowed Description Password String, secret" in said
    assert "at least 8 long" in said
    assert "AWS::SQS::Queue 1" in said
    assert "Outputs Queue" in said


def test_a_refused_body_is_shown_again_with_each_fault(ann: Browser, web: str) -> None:
    bad = "Resources:\n  Admin: {Type: AWS::IAM::User}\n"

    answer = ann.submit(web, f"{web}/versions", {"body": bad, "version": "1.0"})

    assert answer.status == 422
    assert "Resources/Admin" in texts(answer.text)
    assert "AWS::IAM::User" in answer.text
    assert 'value="1.0"' in answer.text


def test_a_malformed_version_is_told_beside_its_field(ann: Browser, web: str) -> None:
    answer = ann.submit(web, f"{web}/versions", {"body": BODY, "version": "first"})

    assert answer.status == 422
    assert 'id="version-error"' in answer.text


def test_json_is_sent_as_json(ann: Browser, web: str) -> None:
    where = add(ann, web, '{"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}')

    assert "&quot;Jobs&quot;" in ann.get(where).text


def test_a_draft_can_be_deleted(ann: Browser, web: str) -> None:
    draft = add(ann, web)

    assert ann.submit(draft, f"{draft}/discard").headers["location"] == f"{web}?done=deleted"
    assert ann.get(draft).status == 404


def test_a_template_is_deleted_with_its_name_only(ann: Browser, web: str) -> None:
    published = add(ann, web)
    ann.submit(published, f"{published}/publish")

    for typed in ("", "wep"):
        answer = ann.submit(web, f"{web}/delete", {"confirm": typed})
        assert answer.status == 409
        assert elements(answer.text, "input")
        assert "type web" in texts(answer.text) or "is not web" in texts(answer.text)
    answer = ann.submit(web, f"{web}/delete", {"confirm": "web"})

    assert answer.headers["location"] == "/console/templates?done=deleted"
    assert ann.get(web).status == 404


def test_a_description_changes_and_goes(ann: Browser, web: str) -> None:
    ann.submit(web, f"{web}/description", {"description": "A <b>queue</b>."})
    assert "A <b>queue</b>." in texts(ann.get(web).text)

    ann.submit(web, f"{web}/description", {"description": ""})
    assert form(ann.get(web).text, f"{web}/description")["description"] == ""


def test_somebody_else_sees_it_and_is_refused(ann: Browser, web: str) -> None:
    bob = Browser()
    bob.sign_in("bob@example.com")

    assert bob.get(web).status == 200
    answer = bob.submit(web, f"{web}/description", {"description": "mine"})
    assert answer.status == 403
    assert "forbidden" in texts(answer.text)
