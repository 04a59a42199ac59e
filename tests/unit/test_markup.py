"""Markup is made by templates alone, which escape whatever is put into them."""

import ast
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

import salmu_demo
from salmu_demo.core.files import syntax_tree
from salmu_demo.core.markup import render

PACKAGE = Path(salmu_demo.__file__).parent
TEMPLATES = sorted(path for path in PACKAGE.rglob("*.html") if path.parent.name == "templates")
TAG = re.compile(
    r"</?(a|article|b|br|button|div|em|figure|h[1-6]|img|li|link|meta|ol|p|script|section|small|span|strong|style|svg|table"
    r"|t[dhr]|ul|wbr)[\s/>]"
)
DRAWINGS = {
    "core/markup.py": "the filter that marks where a word may break",
    "reports/figures/canvas.py": "what matplotlib has drawn, in which marks say what they are and lead to it",
    "mini/objects.py": "an image of the miniature, which no page shows as markup",
    "mini/scenes.py": "an image of the other miniature",
}


def strings(tree: ast.Module) -> list[ast.Constant]:
    """The texts of a module that are not docstrings; those of f-strings included."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]


def test_no_text_outside_templates_holds_markup():
    found = {
        str(path.relative_to(PACKAGE)): node.value
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in strings(syntax_tree(path))
        if TAG.search(node.value)
    }
    assert found.keys() == DRAWINGS.keys(), found


def test_no_template_takes_a_value_for_markup():
    assert len(TEMPLATES) >= 9
    for template in TEMPLATES:
        assert not re.search(r"\|\s*safe\b|autoescape", template.read_text("utf-8")), template


def test_values_are_escaped_and_markup_of_templates_is_not():
    notice = render("ui/templates/parts.html#notice", words="<b>&\"'")
    assert notice == Markup('<p class="notice">&lt;b&gt;&amp;&#34;&#39;</p>')
    assert render("ui/templates/parts.html#empty", title="<i>", words="", more=notice).count("<p") == 3
    with pytest.raises(UndefinedError):
        render("ui/templates/parts.html#notice")


def test_the_layout_of_a_template_adds_no_blanks():
    badge = render("ui/templates/parts.html#badge", icon="✓", words="forgotten", css="forgotten")
    assert badge == '<span class="verdict verdict-forgotten"><span aria-hidden="true">✓</span> forgotten</span>'


def test_the_page_and_the_reports_draw_every_table_with_one_macro_each():
    drawing = [template for template in TEMPLATES if "<table" in template.read_text("utf-8")]
    assert sorted(template.name for template in drawing) == ["parts.html", "report.html"]
    assert all(template.read_text("utf-8").count("<table") == 1 for template in drawing)
