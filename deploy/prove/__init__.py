"""`make prove-on-aws`: check on AWS what docs/aws.md calls unproven.

sandbox.py creates what the checks need and deletes it again. The checks are in workflow_checks.py,
stack_checks.py and deployed_checks.py, in the order of their rows in docs/aws.md.
"""
