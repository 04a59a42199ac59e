"""A list of fields in one component, as long as it has to be: numbers within bounds, and words to choose from.

Gradio's own components would have to be as many as the longest list needs, most of them hidden; those of `gr.render`
belong to a session, and a page that checks every value against its own components has no place for them.

The component's value holds the markup of the fields and, as pairs of a name and a value, what a visitor has typed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.core.markup import render
from salmu_demo.ui.shell.values import number, one_of
from salmu_demo.ui.widgets.components import markup

_NOT_FIELDS: Final = "The fields of this form were not sent as the page sends them; reload the page."

# A part that is unfolded later, and a list that replaces another one, begin with what they hold as typed: nothing that
# was typed into the same places of the list before may stay there.
_ON_LOAD: Final = """
const tell = (field) => {
  if (field.type !== 'number') return;
  const value = field.valueAsNumber;
  const inside = value >= Number(field.min) && value <= Number(field.max);
  const fits = inside && (!('whole' in field.dataset) || Number.isInteger(value));
  field.setAttribute('aria-invalid', String(!fits));
  element.querySelector(`#${field.id}-wrong`).hidden = fits;
};
const show = () => {
  const form = element.querySelector('form');
  if (!form) return;
  form.reset();
  const typed = new Map(props.value.typed);
  for (const field of form.elements) {
    if (typed.has(field.name)) field.value = typed.get(field.name) ?? '';
    if (field.type === 'number') tell(field);
  }
};
const read = (field) => (field.type !== 'number' ? field.value : field.value === '' ? null : field.valueAsNumber);
element.addEventListener('submit', (event) => event.preventDefault());
element.addEventListener('input', (event) => {
  const typed = new Map(props.value.typed).set(event.target.name, read(event.target));
  props.value = {...props.value, typed: [...typed]};
});
element.addEventListener('change', (event) => tell(event.target));
watch('value', show);
show();
"""


@dataclass(frozen=True)
class Field:
    """A number within bounds, or one of several words.

    Attributes:
        name: what its value is called.
        label: what the visitor reads.
        info: what it does.
        default: its value until the visitor types another one; a number without a fraction takes no other.
        minimum: smallest number.
        maximum: largest number.
        words: the words, if it is not a number.
    """

    name: str
    label: str
    info: str
    default: int | float | str
    minimum: float = 0.0
    maximum: float = 0.0
    words: Sequence[str] = ()

    @property
    def precision(self) -> int | None:
        """Digits after the point: 0, or None for any number of them."""
        return 0 if isinstance(self.default, int) else None

    @property
    def step(self) -> float:
        """How far one press of an arrow key goes."""
        if isinstance(self.default, str):
            return 0
        return 1 if self.precision == 0 else max(self.default, self.minimum) / 10 or 0.1

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The words as a component has them."""
        return [(word, word) for word in self.words]

    @property
    def bounds(self) -> str:
        """What the visitor is told who types something else.

        >>> Field("steps", "Steps", "", 3, 1, 100).bounds, Field("beta", "Beta", "", 0.5, 0.001, 10).bounds
        ('Type a whole number from 1 to 100.', 'Type a number from 0.001 to 10.')
        """
        kind = "whole number" if self.precision == 0 else "number"
        return f"Type a {kind} from {self.minimum:g} to {self.maximum:g}."

    def checked(self, value: object) -> int | float | str | None:
        """What was typed, None for an emptied number; raises `QueryError` if the field could not hold it."""
        checked: int | float | str | None = one_of(self, value) if self.words else number(self, value)
        return checked


def field_list(elem_id: str) -> gr.HTML:
    """Build the component into the current Blocks context, without any field."""
    return markup(filled([]), html_template="${value.markup}", js_on_load=_ON_LOAD, elem_id=elem_id)


def filled(fields: Sequence[Field], typed: Mapping[str, object] | None = None) -> Any:
    """The component's value with some fields, and what of them is not at its default."""
    return {
        "markup": str(render("ui/templates/unlearn.html#fields", fields=fields)) if fields else "",
        "typed": [[field.name, typed[field.name]] for field in fields if typed and field.name in typed],
    }


def typed_into(fields: Sequence[Field], value: object) -> dict[str, int | float | str | None]:
    """What a visitor has typed into fields; what was typed into others, which the page has replaced, is left out.

    Args:
        fields: those that are asked for.
        value: the component's, as a client sent it.

    Raises:
        QueryError: if one of them could not hold it, or it is not such a value.
    """
    pairs = value.get("typed") if isinstance(value, dict) else None
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise QueryError(_NOT_FIELDS)
    given = dict(pairs)
    return {field.name: field.checked(given[field.name]) for field in fields if field.name in given}


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
