"""AWS Proton's bundles -> plain CloudFormation templates.

Proton renders Jinja with the values at hand, so the text that comes out may be anything. Here no
value is known: the text is rendered with a mark in the place of each value, once for each way its
conditions can go; the templates that come out are laid over each other, and where they differ
there is an `Fn::If`, or a `Condition`. Marks become `Ref` and `Fn::Sub` of parameters.

    bundle ─► rendering (one for each way) ─► ways (laid over each other) ─► intrinsics ─► writing

What CloudFormation cannot compute becomes an input that has to be told, or is left out; both are
in the report, with file and line.
"""
