"""A minimal Lambda: `python invoke.py FOLDER EVENT` imports FOLDER/app.py and calls its handler.

It needs only the standard library, so that only the function is measured.
"""

import importlib
import json
import sys


class Context:
    function_name = "slipway"
    function_version = "$LATEST"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:slipway"
    aws_request_id = "5e1c7f2a-0000-4000-8000-000000000000"
    log_group_name = log_stream_name = "slipway"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 15_000


if __name__ == "__main__":
    sys.path[0] = sys.argv[1]
    with open(sys.argv[2]) as file:
        event = json.load(file)
    answer = importlib.import_module("app").handler(event, Context)
    assert answer.get("statusCode", 200) < 300 and not answer.get("batchItemFailures"), answer
