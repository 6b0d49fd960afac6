"""The command line: a lazy group, one file a command. Only here is anything printed, and only here does it exit."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

import click

from zoo import progress
from zoo.cli import shared
from zoo.errors import ZooError, nearest

COMMANDS = {
    "list": "models, their data sets and published weights",
    "info": "one model: recipe, data sets, metrics, weights",
    "train": "train a model; leaves a run folder",
    "evaluate": "score published weights or a run",
    "predict": "apply a model to your own files",
    "embed": "vectors of your own sentences or images",
    "sample": "new images or sentences from a generative model",
    "pull": "fetch and verify published weights",
    "push": "publish weights to the Hub, a folder or S3",
    "cache": "fetched weights: list, verify, prune, path",
    "export": "write safetensors, torch.export and ONNX, each proven",
    "runs": "what has been trained here",
    "data": "data sets: list, fetch, where",
    "plugins": "plugins: list, doctor, disable, enable",
    "registry": "published weights: check what is listed, the entry for a run",
    "completion": "shell completion for bash, zsh or fish",
}


class Group(click.Group):
    """Loads a command's file when it is called; names the nearest command when one is mistyped."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, without loading one."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its own file."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"zoo.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, but with a suggestion."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = nearest(args[0], COMMANDS)
            hint = f"Did you mean {near!r}? " if near else ""
            ctx.fail(f"unknown command {args[0]!r}. {hint}See: zoo --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The summaries from above, so that --help loads no command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import zoo

        click.echo(f"zoo {zoo.__version__} (distribution plugin-zoo {zoo.__version__})")
        ctx.exit()


def _own_only(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import entry_points

        own = (
            entry.name for entry in entry_points(group="zoo.plugins") if entry.dist and entry.dist.name == "plugin-zoo"
        )
        os.environ["ZOO_PLUGINS"] = ",".join(own)


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: zoo train cnn-mnist --dataset digits",
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print versions.")
@click.option("--offline", is_flag=True, expose_value=False, callback=shared.set_offline, help="Fetch nothing.")
@click.option(
    "--no-plugins", is_flag=True, expose_value=False, callback=_own_only, help="Use the zoo's own plugins only."
)
def zoo() -> None:
    """A model zoo of plugins: trained baselines in one line, claims that anyone can re-run."""


def main() -> None:
    """Runs the command line: exit code 1 and a message, no traceback, for whatever a user can cause."""
    logging.getLogger("zoo").addHandler(_Warnings())
    try:
        with progress.listen(_show_transfer):
            code = zoo.main(prog_name="zoo", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except ZooError as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        _fail(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped. What was written before is kept; a run goes on with: zoo train --resume RUN", 130)
    except click.UsageError as error:
        usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
        click.echo(f"{usage}", err=True, nl=False)
        _fail(error.format_message(), 1)
    except click.ClickException as error:
        _fail(error.format_message(), 1)
    except BrokenPipeError:
        # The reader of our output left, as `zoo list | head -1` does; nothing more can be written, nor flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


class _Warnings(logging.Handler):
    """What the zoo warns of, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line or more."""
        click.echo(f"{click.style('warning:', fg='yellow')} {record.getMessage()}", err=True)


def _show_transfer(what: str, done: int, total: int) -> None:
    from zoo.cli.progress import transfers  # loads rich, which most commands do without

    transfers().show(what, done, total)


def _fail(message: str, code: int) -> None:
    click.echo(f"{click.style('zoo:', fg='red')} {message}", err=True)
    sys.exit(code)
