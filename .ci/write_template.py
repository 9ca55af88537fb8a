"""Write template.yaml, with the policies that it includes, as one JSON file for checkov."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from local.package import load_yaml, with_includes  # noqa: E402

target = Path(sys.argv[1])
target.parent.mkdir(parents=True, exist_ok=True)
template = with_includes(ROOT, load_yaml(ROOT / "template.yaml"))
target.write_text(json.dumps(template, indent=1, default=str))
