"""The region of commands that work in an AWS account.

The AWS CLI and most SDKs read AWS_REGION. boto3 and SAM CLI read only AWS_DEFAULT_REGION.
"""

import os


def adopt() -> None:
    """Make AWS_REGION, if it is set, the region of boto3 and of the processes started from here."""
    if region := os.environ.get("AWS_REGION"):
        os.environ["AWS_DEFAULT_REGION"] = region
