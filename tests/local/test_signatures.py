"""The AWS port takes only what is signed with a key that was given out (local/signatures.py)."""

import datetime as dt
import hashlib
import http.client
import os
import re
import stat
from collections.abc import Callable
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import auth
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local import running
from local.iam_keys import Key
from local.platform import REGION, Platform
from tests.support.local.callers import acting
from tests.support.local.platform import Reply, allow, calling

LIST = {"X-Amz-Target": "DynamoDB_20120810.ListTables"}
JSON = {"Content-Type": "application/x-amz-json-1.0"}
Change = Callable[[AWSRequest], None]


@pytest.fixture(scope="module")
def worker(platform: Platform) -> Key:
    """A session of a role that may do everything, as a function's worker has one."""
    return acting(platform, allow("*"))


@pytest.fixture(params=["owner", "worker"])
def key(request: pytest.FixtureRequest, platform: Platform, worker: Key) -> Key:
    return platform.owner if request.param == "owner" else worker


def signed(
    platform: Platform, key: Key, body: bytes = b"{}", at: dt.datetime | None = None
) -> AWSRequest:
    """A signed request that lists the tables."""
    request = AWSRequest("POST", platform.endpoint + "/", data=body, headers={**LIST, **JSON})
    signer = SigV4Auth(Credentials(*key), "dynamodb", REGION)
    if at is None:
        signer.add_auth(request)
        return request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "get_current_datetime", lambda: at.replace(tzinfo=None))
        signer.add_auth(request)
    return request


def sent(request: AWSRequest) -> Reply:
    where = urlsplit(request.url)
    assert where.hostname
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    path = f"{where.path or '/'}{'?' + where.query if where.query else ''}"
    headers = {"Host": where.netloc, **dict(request.headers.items())}
    connection.request(request.method, path, request.data, headers)
    answer = connection.getresponse()
    try:
        return Reply(answer.status, answer.msg, answer.read())
    finally:
        connection.close()


def code(reply: Reply) -> str:
    return str(reply.json["__type"]).rpartition("#")[2]


# --- signatures in headers --------------------------------------------------------------------


def test_a_signed_request_is_carried_out(platform: Platform, key: Key) -> None:
    reply = sent(signed(platform, key))

    assert reply.status == 200
    assert "TableNames" in reply.json


def flipped(text: str, position: int) -> str:
    return text[:position] + ("0" if text[position] != "0" else "1") + text[position + 1 :]


def _signature(position: int) -> Change:
    def change(request: AWSRequest) -> None:
        value = request.headers["Authorization"]
        del request.headers["Authorization"]
        before, name, signature = value.partition("Signature=")
        request.headers["Authorization"] = before + name + flipped(signature, position)

    return change


def _header(name: str, value: str) -> Change:
    def change(request: AWSRequest) -> None:
        if name in request.headers:
            del request.headers[name]
        request.headers[name] = value

    return change


def _authorization(old: str, new: str) -> Change:
    def change(request: AWSRequest) -> None:
        value = request.headers["Authorization"]
        del request.headers["Authorization"]
        assert re.search(old, value)
        request.headers["Authorization"] = re.sub(old, new, value)

    return change


def _in_query(text: str) -> Change:
    def change(request: AWSRequest) -> None:
        request.url += f"?{text}"

    return change


def _body(request: AWSRequest) -> None:
    request.data = b'{"Limit": 1}'


def _method(request: AWSRequest) -> None:
    request.method = "PUT"


def _path(request: AWSRequest) -> None:
    request.url += "other"


def _query(request: AWSRequest) -> None:
    request.url += "?Action=DeleteTable"


WRONG: dict[str, Change] = {
    "the first letter of the signature": _signature(0),
    "the last letter of the signature": _signature(63),
    "the body": _body,
    "the method": _method,
    "the path": _path,
    "a query": _query,
    "the operation": _header("X-Amz-Target", "DynamoDB_20120810.DeleteTable"),
    "the media type": _header("Content-Type", "text/plain"),
    "the date": _header("X-Amz-Date", "20200101T000000Z"),
    "an unsigned amz header": _header("X-Amz-Other", "1"),
    "a hash of another body": _header("X-Amz-Content-SHA256", "0" * 64),
    "an unsigned body": _header("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"),
    "the region": _authorization(f"/{REGION}/", "/eu-central-1/"),
    "the service": _authorization("/dynamodb/", "/lambda/"),
    "the end of the scope": _authorization("aws4_request", "aws4"),
    "the day": _authorization(r"/\d{8}/", "/20200101/"),
    "the key's id": _authorization("Credential=[^/]+", "Credential=AKIAGUESSED"),
    "the well-known key": _authorization("Credential=[^/]+", "Credential=test"),
    "an account as a key": _authorization("Credential=[^/]+", "Credential=000000000000"),
    "no key": _authorization("Credential=[^/]+", "Credential="),
    "no signed headers": _authorization("SignedHeaders=[^,]+", "SignedHeaders="),
    "the host unsigned": _authorization("host;", ""),
    "no signature": _authorization(", Signature=.*", ""),
    "an empty signature": _authorization("Signature=.*", "Signature="),
    "another algorithm": _authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    "an old algorithm": _authorization("AWS4-HMAC-SHA256", "AWS"),
    "a bearer token": _header("Authorization", "Bearer local"),
    "an empty header": _header("Authorization", ""),
    "nothing but the algorithm": _header("Authorization", "AWS4-HMAC-SHA256 "),
    "two credentials": _authorization(
        "Credential=", "Credential={owner}/20300101/x/x/aws4_request, Credential="
    ),
    "a credential in another part": _authorization(
        "SignedHeaders=", "SignedHeaders=Credential={owner}/, SignedHeaders="
    ),
    "a credential before the algorithm's end": _authorization(
        "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 x=Credential={owner}/, "
    ),
    "another key in the query": _in_query("X-Amz-Credential={owner}/20300101/x/x/aws4_request"),
    "an old key in the query": _in_query("AWSAccessKeyId={owner}&Signature=x"),
    "a presigned query as well": lambda request: setattr(
        request, "url", request.url + "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    ),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_request_that_was_changed_after_signing_is_refused(
    platform: Platform, key: Key, change: Change
) -> None:
    request = signed(platform, key)
    change(request)
    # A worker that knows the owner's id must not be taken for the owner.
    request.url = request.url.replace("{owner}", platform.owner.id)
    value = request.headers.get("Authorization")
    if value and "{owner}" in value:
        _header("Authorization", value.replace("{owner}", platform.owner.id))(request)

    reply = sent(request)

    assert reply.status in (400, 403)
    assert b"TableNames" not in reply.body
    assert platform.owner.secret.encode() not in reply.body


def test_the_constant_key_of_earlier_versions_is_refused(platform: Platform) -> None:
    for guessed in (Key("local", "local"), Key(platform.owner.id, "local"), Key("test", "test")):
        reply = sent(signed(platform, guessed))

        assert reply.status in (400, 403)


def test_a_sessions_key_without_its_token_or_with_another_is_refused(
    platform: Platform, worker: Key
) -> None:
    other = acting(platform, allow("*"))

    for token in ("", "x", other.token):
        assert sent(signed(platform, worker._replace(token=token))).status in (400, 403)


def test_each_runs_key_is_its_own(platform: Platform) -> None:
    others = Platform(platform.root), Platform(platform.root)

    assert len({each.owner for each in (platform, *others)}) == 3
    assert len(platform.owner.secret) == 40


@pytest.mark.parametrize("minutes", [-60 * 24, -16, 16, 60])
def test_a_request_that_is_replayed_later_is_refused(
    platform: Platform, key: Key, minutes: int
) -> None:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)

    reply = sent(signed(platform, key, at=at))

    assert reply.status in (400, 403)
    assert re.search("not yet current|expired|earlier than", reply.body.decode())


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_may_be_wrong_by_a_quarter_of_an_hour(
    platform: Platform, key: Key, minutes: int
) -> None:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)

    assert sent(signed(platform, key, at=at)).status == 200


def test_the_error_is_that_of_aws(platform: Platform) -> None:
    forged = Key(platform.owner.id, "guessed")

    with pytest.raises(ClientError) as of_dynamodb:
        platform.client("dynamodb", forged).list_tables()
    with pytest.raises(ClientError) as of_s3:
        platform.client("s3", forged).list_buckets()
    with pytest.raises(ClientError) as of_iam:
        platform.client("iam", forged).list_roles()

    codes = [each.value.response["Error"]["Code"] for each in (of_dynamodb, of_s3, of_iam)]
    assert codes == ["InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"]


# --- presigned URLs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(platform: Platform) -> str:
    platform.client("s3").create_bucket(Bucket="signatures")
    platform.client("s3").put_object(Bucket="signatures", Key="a b/ü+", Body=b"private")
    return "signatures"


def presigned(platform: Platform, key: Key, bucket: str, seconds: int = 60) -> str:
    url: str = platform.client("s3", key).generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "a b/ü+"}, ExpiresIn=seconds
    )
    if "X-Amz-Signature" in url:
        return url
    # botocore presigns with Signature Version 2 unless it is told otherwise.
    config = boto3.session.Config(signature_version="s3v4", proxies={})
    session = boto3.Session(*key[:2], key.token or None, REGION)
    client = session.client("s3", endpoint_url=platform.endpoint, config=config)
    url = client.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "a b/ü+"}, ExpiresIn=seconds
    )
    return url


def test_a_presigned_url_is_valid_until_it_expires(
    platform: Platform, key: Key, bucket: str
) -> None:
    get = calling(platform.endpoint)

    assert get(presigned(platform, key, bucket)).body == b"private"
    assert get(presigned(platform, key, bucket, seconds=0)).status in (400, 403)
    assert get(presigned(platform, key, bucket, seconds=604_801)).status in (400, 403)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a%20b", "a%20c"),
        ("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        ("X-Amz-Expires=60", "X-Amz-Expires=x"),
        ("&X-Amz-Expires=60", ""),
        (r"X-Amz-Signature=\w{4}", "X-Amz-Signature=0000"),
        (r"&X-Amz-Signature=\w+", ""),
        (r"X-Amz-Credential=\w+", "X-Amz-Credential=test"),
        (r"X-Amz-Date=\d{8}T", "X-Amz-Date=20200101T"),
        ("SignedHeaders=host", "SignedHeaders="),
        ("%2Fs3%2F", "%2Flambda%2F"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256", "none"),
        ("$", "&X-Amz-Credential=test/20300101/x/s3/aws4_request"),
        ("$", "&x-amz-credential=test/20300101/x/s3/aws4_request"),
        ("$", "&AWSAccessKeyId=test"),
        ("X-Amz-Credential", "x-amz-credential"),
        ("X-Amz-Algorithm", "x-amz-algorithm"),
    ],
)
def test_a_presigned_url_that_was_changed_is_refused(
    platform: Platform, key: Key, bucket: str, old: str, new: str
) -> None:
    url = presigned(platform, key, bucket)
    changed = re.sub(old, new, url)
    assert changed != url

    reply = calling(platform.endpoint)(changed)

    assert reply.status in (400, 403)
    assert b"private" not in reply.body


def test_a_presigned_request_of_another_service_has_the_signed_body(
    platform: Platform, key: Key
) -> None:
    def asked(body: bytes, **headers: str) -> Reply:
        url = f"{platform.endpoint}/?Action=GetCallerIdentity&Version=2011-06-15"
        request = AWSRequest("POST", url)
        SigV4QueryAuth(Credentials(*key), "sts", REGION, expires=60).add_auth(request)
        request.data = body
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value
        return sent(request)

    of_nothing = hashlib.sha256(b"").hexdigest()
    assert asked(b"").status == 200
    assert asked(b"Action=GetSessionToken").status == 403
    assert asked(b"Action=GetSessionToken", x_amz_content_sha256=of_nothing).status in (400, 403)
    assert asked(b"", x_amz_content_sha256="UNSIGNED-PAYLOAD").status in (400, 403)


def test_a_presigned_url_of_version_2_is_refused(platform: Platform, bucket: str) -> None:
    url = f"{platform.endpoint}/{bucket}/a%20b/%C3%BC%2B"
    old = f"{url}?AWSAccessKeyId={platform.owner.id}&Signature=x&Expires=9999999999"

    assert calling(platform.endpoint)(old).status in (400, 403)


def test_an_upload_has_the_body_whose_hash_was_signed(
    platform: Platform, key: Key, bucket: str
) -> None:
    def upload(declared: str | None, body: bytes) -> int:
        url = f"{platform.endpoint}/{bucket}/upload"
        headers = {} if declared is None else {"X-Amz-Content-SHA256": declared}
        request = AWSRequest("PUT", url, data=b"mine", headers=headers)
        S3SigV4Auth(Credentials(*key), "s3", REGION).add_auth(request)
        request.data = body
        return sent(request).status

    assert upload(None, b"mine") == 200
    assert upload(None, b"other") == 400


# --- without a signature ----------------------------------------------------------------------

UNSIGNED = [
    ("POST", "/_ministack/reset"),
    ("POST", "/_ministack/config"),
    ("GET", "/_ministack/lambda-code/slipway"),
    ("GET", "/_ministack/lambda-layers/x/1/content"),
    ("GET", "/_ministack/ses/messages"),
    ("GET", "/_localstack/health"),
    ("PUT", "/_ministack/cfn-response/short"),
    ("GET", "/_aws/execute-api/x/"),
    ("GET", "/_aws/lambda-url/x/"),
    ("POST", "/_ministack/health"),
    ("GET", "/"),
    ("POST", "/"),
    ("GET", "/2015-03-31/functions"),
    ("POST", "/2015-03-31/functions"),
    ("GET", "/v2/apis"),
    ("PUT", "/new-bucket"),
    ("DELETE", "/signatures"),
    ("GET", "/signatures"),
    ("GET", "/v20180820/accesspoint"),
    ("POST", "/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15"),
    ("GET", "/?Action=ListUsers&Version=2010-05-08"),
    ("POST", "/?Action=DeleteStack&StackName=slipway&Version=2010-05-15"),
]


@pytest.mark.parametrize(("method", "path"), UNSIGNED)
@pytest.mark.parametrize("body", [b"", b"Action=ListUsers&Version=2010-05-08", b"{}"])
def test_an_unsigned_request_is_refused(
    platform: Platform, bucket: str, method: str, path: str, body: bytes
) -> None:
    reply = calling(platform.endpoint)(path, method, body or None)

    assert reply.status in (400, 403)


@pytest.mark.parametrize(("method", "path"), [each for each in UNSIGNED if "/_" in each[1]])
def test_the_emulators_own_commands_are_for_nobody(
    platform: Platform, key: Key, method: str, path: str
) -> None:
    request = AWSRequest(method, platform.endpoint + path, data=b"{}")
    SigV4Auth(Credentials(*key), "lambda", REGION).add_auth(request)

    assert sent(request).status == (200 if path == "/_ministack/health" else 403)


def test_the_health_check_is_open(platform: Platform) -> None:
    assert calling(platform.endpoint)("/_ministack/health").status == 200


# --- the files of a run -----------------------------------------------------------------------


def test_the_files_of_a_run_are_for_this_user_alone(platform: Platform) -> None:
    def mode(path: os.PathLike[str]) -> int:
        return stat.S_IMODE(os.stat(path).st_mode)

    assert mode(platform.run_dir) == 0o700
    for name in ("aws.env", "emulator.json", "emulator.log"):
        assert mode(platform.run_dir / name) == 0o600


def test_the_runs_key_is_in_one_file_and_not_in_its_log(platform: Platform) -> None:
    sent(signed(platform, Key(platform.owner.id, "wrong")))
    files = [path for path in platform.run_dir.rglob("*") if path.is_file()]
    secret = platform.owner.secret.encode()

    found = [path.name for path in files if secret in path.read_bytes()]

    assert found == ["aws.env"]
    assert "emulator.log" in {path.name for path in files}


def test_commands_find_the_key_of_a_running_platform(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", platform.endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "mine")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.setenv(name, "mine")

    running.adopt_key(platform.root)

    assert os.environ["AWS_ACCESS_KEY_ID"] == platform.owner.id
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == platform.owner.secret
    assert not {"AWS_SESSION_TOKEN", "AWS_PROFILE"} & set(os.environ)
    [found] = running.platforms(platform.root)
    assert found.owner == platform.owner
    assert found.client("sts").get_caller_identity()["Arn"].endswith(":root")


def test_the_key_of_a_platform_is_used_nowhere_else(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    for endpoint in ("", "http://127.0.0.1:1", "https://dynamodb.us-east-1.amazonaws.com"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        running.adopt_key(platform.root)

        assert os.environ["AWS_ACCESS_KEY_ID"] == "mine"
        assert running.key_for(endpoint, platform.root) is None


def test_a_shell_that_reads_the_file_can_call_aws(platform: Platform) -> None:
    text = (platform.run_dir / "aws.env").read_text()

    exported = dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))
    assert exported == {
        **platform.owner.variables(),
        "AWS_ENDPOINT_URL": platform.endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    assert text.endswith("unset AWS_SESSION_TOKEN AWS_PROFILE\n")
