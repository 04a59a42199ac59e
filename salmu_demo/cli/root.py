"""The commands: what each is for, and how it is found and run; its module is imported when it is called."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from salmu_demo import __version__
from salmu_demo.cli.grammar import Command, Group
from salmu_demo.cli.output import terminal
from salmu_demo.core.errors import QueryError, SalmuError
from salmu_demo.core.plugins import load_plugins
from salmu_demo.core.text import plain

PROGRAM: Final = "salmu-demo"
_COMPLETION: Final = "_SALMU_DEMO_COMPLETE"
"""The variable by which a shell asks for completions."""

COMMANDS: Final = {
    "app": "Start the app in a local browser.",
    "fetch": "Download data and models, checked and pinned to a commit.",
    "evaluate": "Measure models with the ten official metrics.",
    "attack": "Attack unlearned models: is it gone, or only hidden?",
    "jobs": "Run benchmarks as jobs that can be stopped and resumed.",
    "report": "Write reports (PDF, HTML, Markdown, CSV, ZIP) of results.",
    "leaderboard": "Rank published, local and imported results.",
    "probe": "Ask models about one persona, a text or an image.",
    "dossier": "Write all that was found about one person as a document.",
    "verify": "Check a dossier: make its digests and numbers again.",
    "unlearn": "Make a model forget the forget split, or who asks for it.",
    "requests": "Look at who asked: still forgotten, and who was hurt?",
    "sweep": "Run and measure methods, seeds, hyperparameters and budgets.",
    "data": "Look at a data set, or make one from a table.",
    "models": "Look at models.",
    "cache": "List, fill or clear the computed features.",
    "mini": "Rebuild the embedded benchmark and its models.",
}
"""Name and purpose of each; `NAME` is the module `salmu_demo.cli.NAME`."""

_PLUGIN: Final = "--plugin"


class _Root(Group):
    """All commands, each imported when it is called: the help of the program shows their names and purposes alone."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the help shows of a command, or None if there is none."""
        return Command(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(name), rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a line, in which plug-ins may also be named behind the command."""
        return super().parse_args(ctx, args if ctx.resilient_parsing else _plugins_first(args))


def run(line: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        with terminal():
            program = build()
            if _COMPLETION in os.environ:
                # typer wraps the words beside each completion, and a shell takes their second line for another one.
                os.environ["COLUMNS"] = "1000"
                program.main(line, PROGRAM)
            with program.make_context(PROGRAM, list(line)) as context:
                program.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except SalmuError as error:
        with suppress(OSError):  # Standard error may be as unusable as standard output.
            print(f"{PROGRAM}: {plain(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output, for example `head`, has seen enough.
        return 0
    return 0


def load(name: str) -> Any:
    """The command of a name, imported."""
    command = get_command(import_module(f"salmu_demo.cli.{name}").commands)
    command.name, command.help = name, COMMANDS[name]
    return command


def _plugins_first(args: Sequence[str]) -> list[str]:
    """The same line with all plug-ins in front; raises `QueryError` for one without a file."""
    plugins, others, given = list[str](), list[str](), iter(args)
    for word in given:
        if word == "--":
            others += [word, *given]
        elif word == _PLUGIN:
            file = next(given, None)
            if file is None:
                raise QueryError(f"{_PLUGIN} needs a value; see `{PROGRAM} --help`.")
            plugins.append(f"{word}={file}")
        elif word.startswith(f"{_PLUGIN}="):
            plugins.append(word)
        else:
            others.append(word)
    return [*plugins, *others]


def build() -> Any:
    """The tree of all commands."""
    program = typer.Typer(cls=_Root, rich_markup_mode=None)
    program.callback(subcommand_metavar="COMMAND ...")(_options)
    return get_command(program)


def _show_version(given: bool) -> None:
    if given:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _load(files: list[Path] | None) -> None:
    """Load plug-ins, before the command is imported whose help may name what they register."""
    if files:
        load_plugins(files)


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
    plugin: Annotated[
        list[Path] | None,
        typer.Option(
            _PLUGIN,
            metavar="FILE.py",
            parser=Path,
            callback=_load,
            help="Python file that registers metrics or methods; may be given several times.",
        ),
    ] = None,
) -> None:
    """Audit what CLIP models know about fictitious personas, before and after unlearning."""
