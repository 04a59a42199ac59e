"""Markup, made by templates alone: whatever is put into one is escaped, unless a template has made it."""

import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup, escape

_LINE_END: Final = re.compile(r"[ \t]*\n\s*")


class _Joined(Extension):
    """Takes the ends of lines and the indentation out of a template, so that its layout adds no blanks to the markup.

    A blank or a line end that is meant is written `{{ " " }}` or `{{ "\\n" }}` where a line ends.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _LINE_END.sub("", source)


def breakable(value: str) -> Markup:
    """A value that may break after a sign instead of within a word; the filter `breakable` of the templates.

    >>> breakable("a.b@c")
    Markup('a.<wbr>b@<wbr>c')
    """
    return Markup(re.sub(r"([@.\-_/])", r"\1<wbr>", str(escape(value))))


_ENVIRONMENT: Final = Environment(
    # The whole package, so that a template is named by its place: "ui/templates/audit.html".
    loader=PackageLoader("salmu_demo", ""),
    autoescape=True,
    undefined=StrictUndefined,
    extensions=[_Joined],
)
_ENVIRONMENT.filters["breakable"] = breakable


def render(template: str, **values: object) -> Markup:
    """A template, or one macro of it, filled in.

    Args:
        template: its place in the package, such as `reports/templates/report.html`; a macro of it is named after a `#`,
            as in `ui/templates/parts.html#notice`.
        values: what it names; a name without a value is an error.
    """
    place, _, macro = template.partition("#")
    found = _ENVIRONMENT.get_template(place)
    return Markup(getattr(found.module, macro)(**values) if macro else found.render(**values))
