"""Which bundles are read, and how a broken or hostile bundle is refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.importers.proton import bundle, importing
from slipway.importers.proton.report import InvalidBundle
from tests.support.importers.bundles import BUNDLES, MANIFEST, files, write

TEMPLATE = "Resources:\n  One: {Type: AWS::SQS::Queue}\n"
SCHEMA = "a: {type: string}"
GOOD = files(TEMPLATE, SCHEMA)
SERVICE = files(TEMPLATE, SCHEMA, "service")


def refused(path: Path) -> str:
    with pytest.raises(InvalidBundle) as error:
        importing.read(path)
    return str(error.value)


def packed(folder: Path, named: dict[str, str], *more: tuple[tarfile.TarInfo, bytes]) -> Path:
    archive = folder / "bundle.tar.gz"
    members = [(tarfile.TarInfo(name), text.encode()) for name, text in named.items()]
    with tarfile.open(archive, "w:gz") as opened:
        for member, content in (*members, *more):
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("around", ["", "./", "v1/", "web/v1/"])
def test_an_archive_is_read_like_a_folder(tmp_path: Path, around: str) -> None:
    named = {
        path.relative_to(BUNDLES / "network").as_posix(): path.read_text()
        for path in (BUNDLES / "network").rglob("*.yaml")
    }

    found = importing.read(packed(tmp_path, {f"{around}{name}": t for name, t in named.items()}))

    assert found.body == importing.read(BUNDLES / "network").body
    assert found.kind == "environment"


def test_the_bundle_may_be_inside_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "v1", SERVICE)

    assert importing.read(tmp_path).kind == "service"


def test_one_of_several_bundles_must_be_named(tmp_path: Path) -> None:
    write(tmp_path / "v1", GOOD)
    write(tmp_path / "v2", GOOD)

    assert refused(tmp_path) == "there is more than one bundle: v1, v2; specify one of them"
    assert importing.read(tmp_path / "v1").body


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schema/schema.yaml": "schema: [", "x": ""}, "schema/schema.yaml: The body is not YAML"),
        ({"schema/schema.yaml": "- a"}, "schema/schema.yaml: #/schema must be a mapping"),
        (
            {"schema/schema.yaml": "schema: {environment_input_type: In, types: {}}"},
            "schema/schema.yaml: #/schema/environment_input_type must name one of #/schema/types",
        ),
        (
            {
                "schema/schema.yaml": "schema: {environment_input_type: In, types: {In:"
                " {properties: [a]}}}"
            },
            "schema/schema.yaml: the inputs: must have properties",
        ),
        (
            {
                "schema/schema.yaml": files("", "a: {type: string, minLength: 9x}")[
                    "schema/schema.yaml"
                ]
            },
            "schema/schema.yaml:9: minLength must be a whole number",
        ),
        ({"infrastructure/manifest.yaml": "{}"}, "#/infrastructure/templates must name one"),
        (
            {
                "infrastructure/manifest.yaml": MANIFEST
                + MANIFEST.partition("\n")[2].partition("\n")[2]
            },
            "#/infrastructure/templates must name one template",
        ),
        (
            {
                "infrastructure/manifest.yaml": "infrastructure:\n  templates:\n"
                "    - {rendering_engine: codebuild, settings: {provision: [make]}}\n"
            },
            "CodeBuild ran commands of this bundle, and Slipway runs none",
        ),
        (
            {"infrastructure/manifest.yaml": MANIFEST.replace("jinja", "hcl")},
            "rendering_engine is hcl, but only jinja is supported",
        ),
        (
            {"infrastructure/manifest.yaml": MANIFEST.replace(": cloudformation}", ": terraform}")},
            "template_language is terraform, but only cloudformation is supported",
        ),
        (
            {"infrastructure/manifest.yaml": MANIFEST.replace("cloudformation.yaml", "../x.yaml")},
            "#/infrastructure/templates/0/file must name a file in the same folder",
        ),
        (
            {"infrastructure/manifest.yaml": MANIFEST.replace("cloudformation.yaml", "b.yaml")},
            "infrastructure/b.yaml is missing",
        ),
        (
            {"infrastructure/cloudformation.yaml": "Resources:\n  A: {{ b"},
            "infrastructure/cloudformation.yaml:2: is not valid Jinja: ",
        ),
        (
            {"infrastructure/cloudformation.yaml": f"{TEMPLATE}\n{{% if a %}}\n"},
            "infrastructure/cloudformation.yaml:4: is not valid Jinja: ",
        ),
        (
            {"infrastructure/cloudformation.yaml": "{% set a = 1 %}\n\nResources: [\n"},
            "infrastructure/cloudformation.yaml: The body is not YAML, line 3: ",
        ),
        ({"infrastructure/cloudformation.yaml": "- a"}, "is not a template: it must be a mapping"),
        (
            {"infrastructure/cloudformation.yaml": "Resources: {One: a}"},
            "infrastructure/cloudformation.yaml:1: One must be a mapping",
        ),
        (
            {"infrastructure/cloudformation.yaml": "Description: nothing"},
            "the platform would refuse the template: #/Resources must have at least one resource",
        ),
        (
            {"infrastructure/cloudformation.yaml": f"Transform: Mine\n{TEMPLATE}"},
            "the platform would refuse the template: #/Transform must be",
        ),
        (
            {"infrastructure/cloudformation.yaml": f"{TEMPLATE}# \ue0000\ue001"},
            "contains characters from Unicode's private use area",
        ),
        (
            {"infrastructure/cloudformation.yaml": "a: &x [1]\nb: *x"},
            "#/b is an alias, which CloudFormation does not support",
        ),
        ({"instance_infrastructure/manifest.yaml": ""}, "both infrastructure/ and"),
    ],
)
def test_a_broken_bundle_is_refused(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    assert said in refused(write(tmp_path, {**GOOD, **changed}))


def test_inputs_that_render_invalid_yaml_are_named(tmp_path: Path) -> None:
    again = "{% if environment.inputs.a == 'x' %}\n  One: {Type: AWS::SNS::Topic}\n{% endif %}\n"

    write(tmp_path, {**GOOD, "infrastructure/cloudformation.yaml": TEMPLATE + again})

    assert refused(tmp_path) == (
        "infrastructure/cloudformation.yaml: #/Resources/One is given more than once"
        " (where a == 'x')"
    )


def test_a_customer_managed_environment_has_no_template(tmp_path: Path) -> None:
    write(tmp_path, {"schema/schema.yaml": GOOD["schema/schema.yaml"]})

    assert "a customer-managed environment has no resources" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"no archive", mtime=0)])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(content)

    assert refused(tmp_path / "bundle.tar.gz")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    whole = packed(tmp_path, GOOD).read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])

    assert refused(tmp_path / "half.tar.gz")


@pytest.mark.parametrize("name", ["../schema/schema.yaml", "/etc/manifest.yaml", "a/../../b.yaml"])
def test_nothing_leads_out_of_an_archive(tmp_path: Path, name: str) -> None:
    assert "points outside the archive" in refused(packed(tmp_path, {**GOOD, name: "x"}))


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(TEMPLATE)
    folder = write(tmp_path / "bundle", GOOD)
    (folder / "infrastructure/cloudformation.yaml").unlink()
    os.symlink(secret, folder / "infrastructure/cloudformation.yaml")
    link = tarfile.TarInfo("infrastructure/cloudformation.yaml")
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    named = {name: text for name, text in GOOD.items() if name != link.name}

    assert refused(folder) == "infrastructure/cloudformation.yaml is missing"
    assert refused(packed(tmp_path, named, (link, b""))) == (
        "infrastructure/cloudformation.yaml is missing"
    )


def test_an_archive_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(b"\0" * (bundle._MAX_UNPACKED + 1)))

    assert "bytes when unpacked" in refused(tmp_path / "bomb.tar.gz")


def test_files_have_a_maximum_size(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "infrastructure/cloudformation.yaml": "#" * 1_000_001})

    assert refused(tmp_path) == (
        "infrastructure/cloudformation.yaml: must be at most 1000000 bytes"
    )


def test_a_bundle_with_too_many_files_is_refused(tmp_path: Path) -> None:
    many = {f"{n}.txt": "" for n in range(1001)}

    assert "more than 1000 files" in refused(packed(tmp_path, {**GOOD, **many}))
    assert "more than 1000 files" in refused(write(tmp_path / "folder", {**GOOD, **many}))


@pytest.mark.parametrize(
    "template",
    [
        f"{{% for a in range(1000) %}}{'{% for b in range(1000) %}x' * 2}{'{% endfor %}' * 3}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}"
        "{{ a + b + c }}{% endfor %}{% endfor %}{% endfor %}",
        f"{'{% if (' + '(' * 3000 + 'a' + ')' * 3000 + ') %}x{% endif %}'}",
        f"{'{% if a %}' * 500}x{'{% endif %}' * 500}",
        "".join(f"{{% if environment.inputs.a == '{n}' %}}x{{% endif %}}" for n in range(300)),
        "{% set a = 'xxxxxxxxxx' %}"
        + "{% set a = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}" * 30
        + "{{ a }}",
        "{% set a = ['x'] %}" + "{% set a = [a, a, a, a, a, a, a, a] %}" * 30 + "{{ a }}",
        "{% set a = 9 %}" + "{% set a = a + a %}" * 9999 + "{{ a }}",
        "{{ range(10 ** 9) }}",
        "{% for a in range(99999999999) %}x{% endfor %}",
        f"{TEMPLATE}    P: {'[' * 100}{']' * 100}",
    ],
)
def test_a_template_that_takes_too_long_to_render_is_refused(tmp_path: Path, template: str) -> None:
    write(tmp_path, {**GOOD, "infrastructure/cloudformation.yaml": template})

    assert refused(tmp_path)


def test_no_code_of_the_bundle_is_run(tmp_path: Path) -> None:
    escape = "''.__class__.__mro__[1].__subclasses__()"
    write(
        tmp_path,
        {**GOOD, "infrastructure/cloudformation.yaml": f"{TEMPLATE}    D: '{{{{ {escape} }}}}'"},
    )
    write(tmp_path, {"infrastructure/cloudformation.yaml": TEMPLATE + f"#{{{{ {escape} }}}}\n"})

    found = importing.read(tmp_path)

    assert "subclasses" not in found.body
    assert found.report.losses == []


def test_the_report_is_safe_to_print(tmp_path: Path) -> None:
    schema = 'a: {type: string, "x\\x9b[2J\\nResources": 1}'
    text = (
        "Resources:\n  One: {Type: AWS::SQS::Queue, Properties: {P: '{{ environment.inputs.a }}'}}"
    )

    found = importing.read(write(tmp_path, files(text, schema)))

    [entry] = found.report.losses
    assert str(entry).isprintable()
    assert found.body.count("Resources") == 2


pieces = st.sampled_from(
    [
        *("{{ ", " }}", "{% if ", "{% for x in ", " %}", "{% endif %}", "{% endfor %}"),
        *("environment.inputs.a", "environment", ".", "x", "'a'", "1", " == ", " | join", "[", "]"),
        *("Resources:\n", "  One:\n", "    Type: AWS::X\n", "    Properties:\n", "      P: "),
        *("!Sub ", "!Ref ", "!If ", "Fn::If: ", "- ", "Outputs:\n", "Mappings:\n", ": ", "{", "\n"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=40).map("".join), st.lists(pieces, max_size=6).map("".join))
def test_any_bundle_becomes_a_template_or_is_refused(text: str, schema: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        named = files(text, "a: {type: string}\nb: " + schema)
        try:
            importing.read(write(Path(folder), named))
        except InvalidBundle as broken:
            assert str(broken)
