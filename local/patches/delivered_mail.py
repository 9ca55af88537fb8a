"""Mail that SES accepts is shown in the terminal of `make local`.

Defect: the stock emulator keeps mail in memory, where a developer does not find the links in it.
"""

import json
from typing import Any

from local import console


def patch(module: Any) -> None:
    """ses_v2: show what SendEmail accepted."""
    stock = module.handle_request

    async def handle_request(
        method: str, path: str, headers: Any, body: bytes, query_params: Any
    ) -> Any:
        answer = await stock(method, path, headers, body, query_params)
        if method == "POST" and path.rstrip("/").endswith("/outbound-emails"):
            sent = json.loads(body) if answer[0] == 200 else {}
            if "Simple" in sent.get("Content", {}):
                console.mailed(sent)
        return answer

    module.handle_request = handle_request


TARGETS = {"ministack.services.ses_v2": patch}
