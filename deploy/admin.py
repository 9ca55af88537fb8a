"""`make admin`: a one-time link that makes somebody an administrator of the platform.

    python -m deploy.admin EMAIL [--stack NAME]      a stack on AWS, by default `make local`

The link is written to the table with the operator's own rights, so it needs neither mail nor an
administrator. It sets a password, works once, and is replaced by the next one for the address.
"""

import argparse
import os
import shlex
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy import as_function
from local import region, running

LINK = """
{email} becomes an administrator with this link, which sets a new password. Keep it secret: it works
once, until {until}.

  {link}

Or without a browser:

  curl {url}/api/v1/auth/register -H 'Content-Type: application/json' \\
    -d {body}
"""


class Refused(Exception):
    """The reason why no link was made."""


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if a link was printed."""
    parser = argparse.ArgumentParser(prog="make admin")
    parser.add_argument("email")
    parser.add_argument("--stack", default="")
    given = parser.parse_args(arguments)
    try:
        url = _stack(given.stack) if given.stack else _local()
        print(_invite(given.email, url))
    except (Refused, ClientError, BotoCoreError) as error:
        print(f"No link was made: {error}", file=sys.stderr)
        return 1
    return 0


def _stack(name: str) -> str:
    """Adopt the settings of the stack's auth function. Returns the URL of its API."""
    running.adopt_key()
    region.adopt()
    session = boto3.Session()
    found = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    ours: Any = session.get_credentials()
    frozen = ours.get_frozen_credentials()
    key = (frozen.access_key, frozen.secret_key, frozen.token)
    functions = session.client("lambda")
    as_function.adopt(functions, outputs["AuthFunctionName"], session.region_name, key)
    return os.environ.get("PUBLIC_URL") or outputs["ApiUrl"]


def _local() -> str:
    """Adopt the settings of the platform that runs here. Returns its URL. Raises Refused."""
    platforms = [each for each in running.platforms() if _lives(each.about["pid"])]
    if len(platforms) != 1:
        found = ", ".join(each.about["api_url"] for each in platforms) or "none"
        raise Refused(
            f"one `make local` must be running here, and there is {found}. For a stack on AWS: "
            "make admin EMAIL=… STACK=slipway-dev"
        )
    [platform] = platforms
    about = platform.about
    name = about["outputs"]["AuthFunctionName"]
    key = (platform.owner.id, platform.owner.secret, platform.owner.token or None)
    as_function.adopt(platform.client("lambda"), name, about["region"], key)
    os.environ["AWS_ENDPOINT_URL"] = about["endpoint"]
    return os.environ.get("PUBLIC_URL") or str(about["api_url"])


def _lives(pid: int) -> bool:
    """Whether the process exists. The files of one that was killed stay until the next start."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _invite(email: str, url: str) -> str:
    """The text with the link. Raises Refused for a malformed address."""
    import json

    from pydantic import TypeAdapter, ValidationError

    from slipway.domain.user import Email
    from slipway.services import mails, registration

    try:
        address = TypeAdapter(Email).validate_python(email)
    except ValidationError as error:
        raise Refused(f"{email}: {error.errors()[0]['msg']}") from None
    record, secret = registration.invite_administrator(address)
    link = mails.link(url, invitation=secret, email=address)
    # The operator replaces this word.
    fields = {"email": address, "password": "CHOOSE ONE", "invitation": secret}  # nosec B105
    body = shlex.quote(json.dumps(fields))
    return LINK.format(email=address, until=record["expires_at"], link=link, url=url, body=body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
