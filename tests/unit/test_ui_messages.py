"""Messages: whatever a sentence quotes is shown as text, and nothing of any length goes back."""

import ast
from pathlib import Path

import pytest

import salmu_demo.ui
from salmu_demo.core.errors import ModelError, quoted
from salmu_demo.core.files import syntax_tree
from salmu_demo.ui.shell.messages import message_markup, shows_errors

MARKUP = '<a href="//x">x</a><img src=x onerror=y>'


def test_an_error_shows_markup_as_text_and_leaves_nothing_in_the_log():
    @shows_errors
    def fail() -> None:
        raise ModelError(f"There is no model {MARKUP}.")

    with pytest.raises(Exception, match="There is no model &lt;a href") as shown:
        fail()
    assert "<" not in shown.value.message
    assert shown.value.print_exception is False


@pytest.mark.parametrize("sentence", ["x" * 5_000_000, MARKUP * 1000, "\ud800" * 2000], ids=["long", "tags", "half"])
def test_a_message_is_short_and_can_be_sent(sentence):
    markup = message_markup(sentence)
    assert len(markup.encode()) < 10_000
    assert "<" not in markup


@pytest.mark.parametrize(
    "value",
    ["x" * 5_000_000, ["x" * 5_000_000] * 3, {"x" * 5_000_000: 1}, "\ud800", None],
    ids=["long", "list", "object", "half", "null"],
)
def test_a_quote_is_short_and_can_be_sent(value):
    assert len(quoted(value).encode()) < 100


def test_one_module_alone_makes_messages():
    makers = {
        path.name
        for path in Path(salmu_demo.ui.__file__).parent.rglob("*.py")
        for node in ast.walk(syntax_tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("gr.Error", "gr.Warning", "gr.Info", "gr.Success")
    }
    assert makers == {"messages.py"}
