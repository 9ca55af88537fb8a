"""`make prove-on-aws`: what docs/aws.md calls unproven, asked of AWS itself.

sandbox.py makes what the checks need and deletes it again. The checks are in workflow_checks.py,
stack_checks.py and deployed_checks.py, in the order of their rows in docs/aws.md.
"""
