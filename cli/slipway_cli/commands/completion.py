"""completion: the script that completes commands in a shell."""

from __future__ import annotations

import typer

from slipway_cli.failures import WrongUsage

app = typer.Typer(rich_markup_mode=None, add_completion=False)
SHELLS = ("bash", "zsh", "fish")


@app.command(epilog='Example: eval "$(slipway completion bash)"')
def completion(shell: str = typer.Argument(help="bash, zsh or fish.")) -> None:
    """Print the completion script of a shell."""
    if shell not in SHELLS:
        raise WrongUsage(f"There is no completion for {shell}.", hint="slipway completion bash")
    from typer._completion_shared import get_completion_script

    # bandit takes the name of a shell for `shell=True`.
    named = {"prog_name": "slipway", "complete_var": "_SLIPWAY_COMPLETE", "shell": shell}
    print(get_completion_script(**named))
