"""`make admin`: a one-time link that makes somebody an administrator of the platform.

    python -m deploy.admin EMAIL [--stack NAME]      a stack on AWS, by default `make local`

The link is written to the table with the operator's own rights, so it needs neither mail nor an
administrator. It sets a password, works once, and is replaced by the next one for the address.
"""

import argparse
import shlex
import sys

from botocore.exceptions import BotoCoreError, ClientError

from deploy import as_function
from deploy.as_function import Refused

MAKE = "make admin EMAIL=… STACK=slipway-dev"

LINK = """
{email} becomes an administrator with this link, which sets a new password. Keep it secret: it works
once, until {until}.

  {link}

Or without a browser:

  curl {url}/api/v1/auth/register -H 'Content-Type: application/json' \\
    -d {body}
"""


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if a link was printed."""
    parser = argparse.ArgumentParser(prog="make admin")
    parser.add_argument("email")
    parser.add_argument("--stack", default="")
    given = parser.parse_args(arguments)
    try:
        url = as_function.of_stack(given.stack) if given.stack else as_function.of_local(MAKE)
        print(_invite(given.email, url))
    except (Refused, ClientError, BotoCoreError) as error:
        print(f"No link was made: {error}", file=sys.stderr)
        return 1
    return 0


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
