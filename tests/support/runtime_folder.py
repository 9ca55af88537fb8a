"""The content of /var/runtime in Lambda's image for Python: the runtime client and the AWS SDK."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from local.patches.lambda_runtimes import SDK

CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")


def link_runtime(folder: Path) -> Path:
    """Make the folder, of links into this environment; nothing else of it can be imported."""
    folder.mkdir()
    for name in (*CLIENT, *SDK):
        spec = importlib.util.find_spec(name)
        assert spec and spec.origin, name
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (folder / found.name).symlink_to(found)
    return folder
