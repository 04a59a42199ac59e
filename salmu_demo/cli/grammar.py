"""What all commands share before anything large is imported: how a line is read, its help, and what is wrong in a line.

typer reads options more loosely than this program promises: it takes the next option for a forgotten value, and knows
neither abbreviations nor options with several values. A line is therefore spelt out first.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from salmu_demo.cli.output import print_help
from salmu_demo.core.errors import QueryError
from salmu_demo.core.text import plain

SEVERAL: Final = "..."
"""What the placeholder of an option ends with that takes several values at once."""

_CLOSE: Final = 0.7
"""How much of a name must be right for it to be meant."""

_NUMBER: Final = re.compile(r"-(\d+|\d*\.\d+)")
_WORDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number"}


class _Spoken:
    """The part of `Command` and `Group` that differs from typer's."""

    allow_extra_args = True
    allow_interspersed_args: bool
    epilog: str | None
    params: list[Any]
    get_params: Callable[[Any], list[Any]]

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """Both names of the help."""
        return ["-h", "--help"]

    def get_help(self, ctx: Any) -> NoReturn:
        """Print the help, and end; typer's own printing goes around our standard output."""
        formatter = ctx.make_formatter()
        self.format_help(ctx, formatter)  # type: ignore[attr-defined]
        print_help(formatter.getvalue().rstrip("\n"))
        raise typer.Exit

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name."""
        arguments = [each.metavar for each in self.params if each.param_type_name == "argument"]
        return ["[OPTIONS]", *arguments, *filter(None, [getattr(self, "subcommand_metavar", None)])]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments with their words alone, then options and commands as typer shows them."""
        arguments = [(each.metavar, each.help) for each in self.params if each.param_type_name == "argument"]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        with formatter.section("Options"):
            options = (each for each in self.get_params(ctx) if each.param_type_name == "option")
            formatter.write_dl([each.get_help_record(ctx) for each in options])
        if isinstance(self, TyperGroup):
            self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, line by line."""
        if self.epilog:
            formatter.write(f"\nexamples:\n{self.epilog}\n")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a line; raises `QueryError` if it is wrong."""
        if ctx.resilient_parsing:  # An unfinished line, to be completed.
            return super().parse_args(ctx, args)  # type: ignore[misc, no-any-return]
        try:
            rest: list[str] = super().parse_args(ctx, self._spelt_out(ctx, args))  # type: ignore[misc]
        except typer.TyperException as error:
            raise QueryError(_sentence(ctx, error)) from error
        if rest and self.allow_interspersed_args:
            raise QueryError(f"{plain(rest[0])!r} is one argument too many; {_see(ctx)}")
        return rest

    def _spelt_out(self, ctx: Any, args: Sequence[str]) -> list[str]:
        """A line with whole names of options, each before its one value; raises `QueryError`."""
        options = {
            name: each
            for each in self.get_params(ctx)
            if each.param_type_name == "option"
            for name in (*each.opts, *each.secondary_opts)
        }
        given, spelt = deque(args), list[str]()
        while given:
            word = given.popleft()
            if word == "--" or not (_is_option(word) or self.allow_interspersed_args):
                return [*spelt, word, *given]
            name, equals, value = word.partition("=")
            if not _is_option(word):
                spelt.append(word)
                continue
            if name not in options and name.startswith("--"):
                name = _whole(ctx, name, list(options))
            option = options.get(name)
            if option is None or option.is_flag:
                spelt.append(name + equals + value)
                continue
            values = [value] if equals else []
            while not equals and given and not _is_option(given[0]):
                values.append(given.popleft())
                if not (option.metavar or "").endswith(SEVERAL):
                    break
            if not values:
                raise QueryError(f"{name} needs a value; {_see(ctx)}")
            spelt += [part for value in values for part in (name, value)]
        return spelt


class Command(_Spoken, TyperCommand):
    """A command."""


class Group(_Spoken, TyperGroup):
    """Commands with a common name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of a name, its name, and the rest of the line; raises `QueryError` if there is none."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            commands = self.list_commands(ctx)
            near = get_close_matches(args[0], commands, 1, _CLOSE)
            what = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(commands)}."
            raise QueryError(f"There is no command {plain(args[0])[:80]!r}; {what}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Call the command; raises `QueryError` if none is named."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            raise QueryError(_sentence(ctx, error)) from error


def _is_option(word: str) -> bool:
    return len(word) > 1 and word.startswith("-") and " " not in word and not _NUMBER.fullmatch(word)


def _whole(ctx: Any, start: str, names: Sequence[str]) -> str:
    """The option that begins so; raises `QueryError` unless there is exactly one."""
    found = [name for name in names if name.startswith(start)]
    if not found:
        near = get_close_matches(start, names, 1, _CLOSE)
        what = f"did you mean {near[0]}?" if near else _see(ctx)
        raise QueryError(f"There is no option {plain(start)[:80]}; {what}")
    if len(found) > 1:
        raise QueryError(f"{start} may be {' or '.join(found)}; write it out.")
    return found[0]


def _see(ctx: Any) -> str:
    return f"see `{ctx.command_path} --help`."


def _sentence(ctx: Any, error: typer.TyperException) -> str:
    """What is wrong with a line, in the words of this program."""
    parameter: Any = getattr(error, "param", None)
    if parameter is None:
        return f"{plain(' '.join(error.format_message().split())).rstrip('.')}; {_see(ctx)}"
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name
    if hasattr(error, "param_type"):
        return f"{name} is missing; {_see(ctx)}"
    choices = parameter.type_descriptor.choices
    kind = f"one of {', '.join(map(str, choices))}" if choices else _WORDS.get(parameter.type_descriptor.annotation)
    return f"{name} must be {kind}; {_see(ctx)}" if kind else f"{name} cannot be used; {_see(ctx)}"
