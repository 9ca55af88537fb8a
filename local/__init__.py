"""The embedded platform: Slipway's own template, running on this machine.

`python -m local` (`make local`) packages functions and layer, creates the stack from
`template.yaml` in an emulator of AWS, and serves the API on http://127.0.0.1:8000.

    platform.py   start, update, stop the whole: what `__main__` and the end-to-end tests use
    package.py    sources -> artifacts and a template that names them
    stack.py      artifacts -> a CloudFormation stack
    watch.py      which sources changed
    emulator.py   the child process: the pinned emulator, patched, and the API's own port
    console.py    what the developer sees of the functions
    gateway.py    what an HTTP API does with a request; its events, authorizers and permissions
                  are in http_events.py, authorizers.py, resource_policy.py
    runtime.py    what a Lambda worker process runs; runtime.mjs is that of Node.js
    cfnresponse.py, cfn-response.js   what CloudFormation adds to inline code
    patches/      the emulator's defects that Slipway meets, one file each
"""
