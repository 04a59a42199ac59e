"""How lines are read: every command, option and default that there ever was, and the forms argparse once took."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.cli.grammar import Group
from salmu_demo.cli.main import run
from salmu_demo.cli.output import TerminalProgress, print_table
from salmu_demo.cli.root import COMMANDS
from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import Progress
from tests.fixtures.command_line import all_commands, read

PROMISED = """\
app: --port:int --root-path --forwarded-allow-ips --data*
fetch: [DATA] --revision --splits --model* --dry-run --yes --json
evaluate: MODEL... --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --clean*
    --compromised* --gold* --data=mini --metrics --imagenet:Path --sample:int --seed:int=42 --output:Path!
    --attacks:Path --ray --workers:int=2 --json
attack: MODEL... --output:Path! --attacks --arch --trust-pickle --quickgelu --preprocess --weights
    --precision{bf16,fp16} --data=mini --clean* --compromised* --gold* --thorough --seed:int=42 --ray --workers:int=2
    --json
jobs run: MODEL... --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --clean*
    --compromised* --gold* --data=mini --metrics --imagenet:Path --sample:int --seed:int=42 --ray --workers:int=2
    --estimate --json
jobs list: --json
jobs show: ID --json
jobs resume: ID --json
jobs cancel: ID --json
report: RESULTS...:Path --clean* --compromised* --gold* --output:Path! --jobs --name* --attacks:Path
leaderboard: [RESULTS...]:Path --data= --revision= --rows{full,sampled}
    --source{published,local,scored,sweep,imported} --search= --sort=diagnosis --clean* --compromised* --gold*
    --import:Path* --sweep:Path* --name* --csv:Path --submission --output:Path --json
probe: MODEL... --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --clean*
    --compromised* --gold* --name* --persona --text --image:Path --everybody --kind --data=mini --output:Path
    --gallery=all -k:int=5 --json
dossier: PERSONA MODEL... --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --clean*
    --compromised* --gold* --name* --data=mini --attacks:Path* --no-images --auditor= --release= --notes=
    --output:Path! --json
verify: FILE:Path --model* --data --json
unlearn: METHOD --model --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --data=mini
    --forget* --towers --budget:int --seed:int=0 --set* --stop-at-unrelated --oracle-stop:float
    --stop-retain-drop:float --keep-checkpoints --keep-best --modality --output:Path --push --public --json
requests: MODEL... --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --clean*
    --compromised* --gold* --data=mini --json
sweep: CONFIG:Path --output:Path! --workers:int=1 --ray --threads:int=1 --json
data describe: DATA --check-images --model* --json
data import: SOURCE:Path --output:Path! --map* --images:Path --seed:int=0 --json
models list: --json
models show: MODEL --against --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16}
    --data=mini --split=forget --json
models delta: BASE MODEL --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16}
    --output:Path!
models export: MODEL --format{open_clip,transformers} --output:Path! --arch --trust-pickle --quickgelu --preprocess
    --weights --precision{bf16,fp16}
models push: DIR ORG/NAME --public
cache list: --json
cache warm: [MODEL...] --arch --trust-pickle --quickgelu --preprocess --weights --precision{bf16,fp16} --data=mini
cache clear: [KEY]
mini build: --seed:int=0 --benchmark{salmubench,clear} --output:Path!
mini hash: DIR:Path
mini shadows: --output:Path! --data:Path --encoders:int=32 --workers:int=1 --seed:int=0
mini ship: --output:Path
mini train: [MODEL] --data:Path --seed:int=0 --threads:int=1 --benchmark{salmubench,clear} --set* --output:Path!
"""
"""Arguments in their order, then options: `*` may be repeated, `!` must be given, `:type`, `=default`, `{choices}`."""


def described(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    is_list = getattr(kind, "__origin__", None) is list
    kind = kind.__args__[0] if is_list else kind
    typed = f":{kind.__name__}" if kind in (int, float, Path) else ""
    if parameter.param_type_name == "argument":
        return parameter.metavar + typed
    name = parameter.opts[-1]
    if parameter.is_flag:
        assert parameter.default in (False, None)
        return name
    choices = parameter.type_descriptor.choices
    if choices:
        return f"{name}{{{','.join(map(str, choices))}}}"
    default = "" if parameter.default is None else f"={parameter.default}"
    return f"{name}{typed}{'*' if is_list else '!' if parameter.required else default}"


def test_every_command_has_the_arguments_options_and_defaults_that_were_promised():
    promised = {}
    for line in PROMISED.replace("\n    ", " ").splitlines():
        command, _, parameters = line.partition(":")
        promised[command] = parameters.split()
    found = {
        name: [described(parameter) for parameter in command.params]
        for name, command in all_commands()
        if not isinstance(command, Group)
    }
    assert {name: sorted(parameters) for name, parameters in found.items()} == {
        name: sorted(parameters) for name, parameters in promised.items()
    }
    for name, parameters in found.items():  # The order of arguments matters.
        assert [p for p in parameters if p[0] != "-"] == [p for p in promised[name] if p[0] != "-"]


def test_every_command_says_what_it_is_for_as_the_list_of_commands_does(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert f"  {name:<11}  {summary}\n" in shown
        assert run([name, "-h"]) == 0
        assert summary in capsys.readouterr().out
    assert all(command.help for _, command in all_commands())


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("probe m --text a -k 7", "k", 7),
        ("probe m --text a -k7", "k", 7),
        ("probe m --text a -k=7", "k", 7),
        ("probe m --te a", "text", "a"),
        ("probe m --te=a=b", "text", "a=b"),
        ("probe m --text=", "text", ""),
        ("probe m --text=--json", "text", "--json"),
        ("probe --text a -- -m", "models", ["-m"]),
        ("probe a --text a --text b c", "text", "b"),
        ("probe a --text a --text b c", "models", ["a", "c"]),
        ("unlearn npo --oracle-stop -0.5", "oracle_stop", -0.5),
        ("unlearn npo --set a=1 --set b=2", "settings", ["a=1", "b=2"]),
        ("unlearn npo --trust", "trust_pickle", True),
        ("leaderboard --import a b --json", "imports", [Path("a"), Path("b")]),
        ("leaderboard a --import b --import c", "imports", [Path("b"), Path("c")]),
        ("leaderboard a --import b --import c", "results", [Path("a")]),
        ("leaderboard --rows full", "rows", "full"),
        ("cache warm", "models", ()),
        ("data describe mini --check-pictures", "check_images", True),
        ("data describe mini --check-i", "check_images", True),
        ("dossier p m --output d --no-pictures", "no_images", True),
        ("evaluate m --output out", "output", Path("out")),
    ],
)
def test_a_line_is_read_as_ever(line: str, name: str, value: Any):
    assert getattr(read(line.split()), name) == value


def test_a_value_may_look_like_an_option_if_it_has_a_space():
    assert read(["probe", "m", "--text", "- lives in Ulm"]).text == "- lives in Ulm"


WRONG = {
    "": "Missing command; see `salmu-demo --help`.",
    "nonsense": "There is no command 'nonsense'; choose one of app, fetch,",
    "evalute": "There is no command 'evalute'; did you mean evaluate?",
    "evaluate m --outptu o": "There is no option --outptu; did you mean --output?",
    "jobs": "Missing command; see `salmu-demo jobs --help`.",
    "jobs nonsense": "There is no command 'nonsense'; choose one of run, list, show, resume, cancel.",
    "--nonsense": "There is no option --nonsense; see `salmu-demo --help`.",
    "evaluate": "MODEL... is missing; see `salmu-demo evaluate --help`.",
    "evaluate m": "--output is missing; see `salmu-demo evaluate --help`.",
    "evaluate m --output --json": "--output needs a value; see `salmu-demo evaluate --help`.",
    "evaluate m --output": "--output needs a value",
    "evaluate m --output o --nonsense": "There is no option --nonsense; see `salmu-demo evaluate --help`.",
    "evaluate m --output o --se 1 --sample x": "--sample must be a whole number; see",
    "evaluate m --output o --sample 5.0": "--sample must be a whole number; see",
    "evaluate m --output o --json=1": "Option '--json' does not take a value; see",
    "evaluate m --output o -x": "No such option: -x; see",
    "evaluate m --out o --clea a --tru --comp b --da d --im i --s 1": "--s may be --sample or --seed; write it out.",
    "unlearn npo --oracle-stop much": "--oracle-stop must be a number; see",
    "unlearn npo --stop-at-unrelated --oracle-stop 0.1": "exclude each other",
    "unlearn npo another": "'another' is one argument too many; see `salmu-demo unlearn --help`.",
    "probe m": "A probe needs one of --persona, --everybody, --text and --image; see",
    "probe m --text a --persona 1": "A probe needs one of --persona, --everybody, --text and --image; see",
    "leaderboard --rows some": "--rows must be one of full, sampled; see",
    "mini train nonsense --output o": "must be one of mini-clean, mini-compromised, mini-gold, mini-clear-base, ",
    "data describe": "DATA is missing; see `salmu-demo data describe --help`.",
    "models list --js\x1b[2J": "There is no option --js\N{REPLACEMENT CHARACTER}[2J; see",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_told_in_one_sentence(line: str, capsys: pytest.CaptureFixture[str]):
    assert run(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"salmu-demo: {WRONG[line]}") or f" {WRONG[line]}" in err
    assert err.count("\n") == 1
    assert err[-2:] in (".\n", "?\n")


# Terminals


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let this process run on a terminal; called in the test itself, because pytest sets the streams for each phase."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


ROWS = [["[red]Ulm[/]", ":smile:"], ["\x1b[2J", 0.5]]


def test_a_table_on_a_terminal_takes_nothing_in_it_for_markup(monkeypatch: pytest.MonkeyPatch):
    terminal = use_terminal(monkeypatch)
    print_table(["city", "what"], ROWS)
    shown = terminal.getvalue()
    assert "[red]Ulm[/]" in shown
    assert ":smile:" in shown
    assert "\x1b[2J" not in shown
    assert "─" in shown
    assert "\x1b[1m" in shown


def test_a_table_elsewhere_is_plain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(["city", "what"], ROWS)
    assert (
        capsys.readouterr().out == "city         what\n[red]Ulm[/]  :smile:\n\N{REPLACEMENT CHARACTER}[2J         0.5\n"
    )


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch):
    terminal = use_terminal(monkeypatch)
    assert run(["--help"]) == 0
    assert "\x1b[36m--version" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.truncate(0)
    assert run(["--help"]) == 0
    assert "\x1b[36m" not in terminal.getvalue()


def test_a_finished_stage_is_one_line_however_often_it_is_told(capsys: pytest.CaptureFixture[str]):
    with TerminalProgress() as progress:
        for done in (1, 2, 2, 2):
            progress(Progress("images", done, 2))
        progress(Progress("captions", 2, 2))
    assert capsys.readouterr().err == "images: 2 of 2\ncaptions: 2 of 2\n"


def test_progress_on_a_terminal_is_a_bar_that_goes_and_gives_the_cursor_back(monkeypatch: pytest.MonkeyPatch):
    terminal = use_terminal(monkeypatch)
    with TerminalProgress() as progress:
        progress(Progress("[b]images", 3, 10))
        progress(Progress("captions", 1, 2))
    shown = terminal.getvalue()
    assert "[b]images" in shown
    assert "3 of 10" in shown
    assert "captions" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("captions")


def test_an_error_within_progress_stands_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch):
    terminal = use_terminal(monkeypatch)

    def fail() -> None:
        with TerminalProgress() as progress:
            progress(Progress("images", 3, 10))
            raise QueryError("No.")

    with pytest.raises(QueryError):
        fail()
    assert terminal.getvalue().endswith("\x1b[2K")


# Completion


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("salmu-demo ev", "evaluate"),
        ("salmu-demo jobs re", "resume"),
        ("salmu-demo evaluate --tr", "--trust-pickle"),
        ("salmu-demo leaderboard --source pub", "published"),
        ("salmu-demo evaluate official-c", "official-clean"),
        ("salmu-demo unlearn npo --plugin none.py --model mini-cl", "mini-clean"),
        ("salmu-demo unlearn pinp", "pinpoint"),
    ],
)
@pytest.mark.usefixtures("shipped_assets")
def test_a_shell_completes(words: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("_SALMU_DEMO_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit) as end:
        run([])
    assert end.value.code == 0
    assert expected in capsys.readouterr().out.split()


def test_the_words_of_a_completion_stand_on_one_line(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("_SALMU_DEMO_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "salmu-demo fetch --")
    with pytest.raises(SystemExit):
        run([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert all(line.startswith("--") for line in lines)


# Plug-ins

PLUGIN = '''
from dataclasses import dataclass

import numpy as np

from salmu_demo.metrics import Metric, register
from salmu_demo.unlearning.methods import base


@register
class Constant(Metric):
    """One for every row."""

    name, pillar, title, explanation, split = "Constant", "utility", "Constant", "One.", "forget"

    def compute(self, view):
        return self.result(np.ones(3))


@base.register("mine", "Mine", "nowhere", "Nothing.", {base.Need.FORGET})
@dataclass(frozen=True)
class Mine(base.TrainedMethod):
    """Nothing."""

    def losses(self, step):
        return base.Losses()
'''


def test_what_a_file_registers_is_named_wherever_the_file_is(tmp_path: Path):
    """In a process of its own: what it registers stays registered."""
    (tmp_path / "mine.py").write_text(PLUGIN, "utf-8")
    lines = [
        ["--plugin", "mine.py", "unlearn", "list"],
        ["evaluate", "--plugin=mine.py", "--help"],
        ["unlearn", "mine", "--plugin", "mine.py"],
        ["models", "list", "--plugin", "none.py"],
        ["models", "list", "--plugin"],
    ]
    code = f"from salmu_demo.cli.main import run; print([run(line) for line in {lines!r}])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 2, 2, 2]"
    assert "\nmine: Mine\n" in done.stdout
    assert ",Constant\n" in done.stdout
    assert done.stderr.splitlines() == [
        "salmu-demo: Unlearning needs --model; see `salmu-demo unlearn --help`.",
        f"salmu-demo: The plug-in {tmp_path / 'none.py'} is not a file; give a Python file.",
        "salmu-demo: --plugin needs a value; see `salmu-demo --help`.",
    ]
