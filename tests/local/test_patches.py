"""The emulator's patches: every module is installed, in the order that is written down."""

import re
from pathlib import Path

from local import patches

LISTED = (*patches.FIRST, *patches.SORTED, *patches.LAST)


def test_every_patch_module_is_listed_once() -> None:
    folder = Path(patches.__file__).parent
    declared = [
        path.stem
        for path in folder.glob("*.py")
        if path.stem != "__init__" and "\ndef patch" in path.read_text()
    ]
    assert sorted(declared) == sorted(LISTED)


def test_the_list_is_sorted() -> None:
    assert list(patches.SORTED) == sorted(patches.SORTED)


def test_a_patch_module_installs_all_of_its_patches() -> None:
    installed = {(each.__module__, each.__name__) for p in patches.PATCHES.values() for each in p}
    for name in LISTED:
        module = vars(patches)[name]
        source = Path(module.__file__).read_text()
        for patch in re.findall(r"^def (patch\w*)\(", source, re.M):
            called = f"    {patch}(module)\n" in source
            assert called or (module.__name__, patch) in installed, f"{name}.{patch}"


def test_the_templates_stock_functions_are_replaced_before_they_are_wrapped() -> None:
    names = [
        p.__module__ for p in patches.PATCHES["ministack.services.cloudformation.provisioners"]
    ]
    assert names[0].endswith(".physical_names")
    assert names[-1].endswith(".iam_stacks")
