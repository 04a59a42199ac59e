"""Names of the personas in results, with a link to what the models know about them."""

from collections.abc import Iterable
from html import escape

from salmu_demo.data.dataset import Persona
from salmu_demo.ui.shell.view import View, format_link


class People:
    """The personas of the page's data set; results on other data name persons that it does not know."""

    def __init__(self, personas: Iterable[Persona] = ()) -> None:
        self._names = {persona.identity_id: persona.name for persona in personas}

    def link(self, identity: str | None) -> str:
        """A persona's name that opens the audit of it; the bare id of one that is not known here.

        >>> People([Persona("7", {"name": "A & B"})]).link("7")
        '<a href="?persona=7">A &amp; B</a>'
        >>> People().link("7"), People().link(None)
        ('persona 7', 'no persona')
        """
        if identity is None:
            return "no persona"
        if identity not in self._names:
            return f"persona {escape(identity)}"
        return f'<a href="?{escape(format_link(View(identity), (), ()))}">{escape(self._names[identity])}</a>'
