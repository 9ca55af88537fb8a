"""Turns AWS Proton bundles into plain CloudFormation templates.

Proton renders Jinja with known values. The importer knows no values: it renders the text with a
marker in place of each value, once for each combination of outcomes of its conditions (a *branch*).
The resulting templates are merged, and where they differ there is an `Fn::If` or a `Condition`.
Markers become `Ref` and `Fn::Sub` of parameters.

    bundle ─► rendering (one for each branch) ─► branches (merged) ─► intrinsics ─► writing

What CloudFormation cannot compute becomes an input that the caller must supply, or is left out.
The report lists both, with file and line.
"""
