"""The embedded platform: Slipway's own template, running on this machine.

`python -m local` (`make local`) packages functions and layer, creates the stack from
`template.yaml` in an emulator of AWS, and serves the API on http://127.0.0.1:8000.

    platform.py   starts, updates and stops the platform, for `__main__` and the end-to-end tests
    package.py    sources -> artifacts and a template that refers to them
    stack.py      artifacts -> a CloudFormation stack
    watch.py      detects changed sources
    emulator.py   the child process: the pinned emulator with our patches, and the API's port
    data.py       the data that is kept between runs: which save a run continues with
    saving.py     saves it, in a copy of the emulator's process; stores.py says what, kept.py how
    console.py    the functions' output in the developer's terminal
    gateway.py    the data plane of HTTP APIs; events, authorizers and permissions are in
                  http_events.py, authorizers.py, resource_policy.py
    runtime.py    the runtime of a Lambda worker process; runtime.mjs is the one for Node.js
    cfnresponse.py, cfn-response.js   the modules that CloudFormation adds to inline code
    patches/      fixes for the emulator's defects that Slipway meets, one file each
"""
