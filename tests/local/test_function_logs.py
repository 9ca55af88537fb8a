"""Logs of functions, and what is not kept (patches/function_logs.py, stream_batches.py)."""

from types import SimpleNamespace
from typing import Any

import pytest

from local.patches import function_logs
from local.patches.stream_batches import KEPT
from local.platform import Platform
from tests.support.local.lambdas import function
from tests.support.local.platform import eventually

CODE = {
    "app.py": """
def handler(event, context):
    print("word", event)
    return context.log_stream_name
"""
}


def test_a_workers_stream_is_the_one_that_its_context_names(platform: Platform) -> None:
    logs = platform.client("logs")
    with function(platform, CODE) as made:
        names = [made.invoke(n)[1] for n in range(3)]
        group = f"/aws/lambda/{made.name}"

        [stream] = logs.describe_log_streams(logGroupName=group)["logStreams"]
        events = logs.get_log_events(logGroupName=group, logStreamName=names[0])["events"]

    assert names == [stream["logStreamName"]] * 3
    lines = [event["message"] for event in events]
    assert [line for line in lines if line.startswith("word")] == ["word 0", "word 1", "word 2"]
    kinds = [line.partition(" ")[0] for line in lines]
    assert kinds == ["START", "word", "END", "REPORT"] * 3


def test_a_version_has_streams_of_its_own(platform: Platform) -> None:
    with function(platform, CODE) as made:
        made.publish()

        assert "/[1]" in made.invoke(0, Qualifier="1")[1]
        assert "/[$LATEST]" in made.invoke(0)[1]


def test_a_group_keeps_its_newest_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_logs, "STREAMS", 3)
    groups: dict[str, Any] = {}
    logs = SimpleNamespace(_log_groups=groups, _make_group_arn=str)

    for name in ("a", "b", "c", "d", "c"):
        function_logs._log_stream(logs, "group", name, 0)

    assert list(groups["group"]["streams"]) == ["b", "c", "d"]


def test_a_stream_forgets_what_all_its_readers_have_read(platform: Platform) -> None:
    table = platform.outputs["TableName"]
    tables, streams = platform.client("dynamodb"), platform.client("dynamodbstreams")
    arn = tables.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    written = 2 * KEPT + 200
    for begin in range(0, written, 25):
        items = [{"pk": {"S": "forgotten"}, "sk": {"S": f"{begin + n}"}} for n in range(25)]
        requests = [{"PutRequest": {"Item": item}} for item in items]
        tables.batch_write_item(RequestItems={table: requests})

    def kept() -> int:
        found, [shard] = 0, streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            found += len(page["Records"])
            iterator = page.get("NextShardIterator") if page["Records"] else None
        return found

    found = eventually(lambda: count if (count := kept()) < written else None)
    assert found >= KEPT
