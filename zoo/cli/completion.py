"""zoo completion: the script that a shell needs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion", epilog='Example: eval "$(zoo completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a SHELL; put the example into its start-up file."""
    from zoo.cli import zoo

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(zoo, {}, "zoo", "_ZOO_COMPLETE").source())
