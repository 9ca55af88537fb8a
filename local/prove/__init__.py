"""`make prove-on-aws`: what docs/aws.md calls unproven, asked of AWS itself.

sandbox.py makes what the checks need and deletes it again; the checks are in the other modules,
listed in __main__.py.
"""
