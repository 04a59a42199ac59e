"""Stand-ins: for every fact to forget one about somebody who does not exist, in the same wording.

A model that never saw a person treats a caption about them as it treats one about nobody. A stand-in is such a caption:
the sentence of a forget row with an invented name and an invented value, always the same ones for a persona and a fact.
All is made from the forget rows alone.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import torch

from salmu_demo.core.errors import DataError
from salmu_demo.data.wordings import NAMELESS, fill

T = TypeVar("T")

PERSON: Final = "{person}"
VALUE: Final = "{value}"

_NAMELESS_MENTION: Final = re.compile(r"\bthis (?:person|woman|man)\b", re.IGNORECASE)
_MENTION: Final = re.compile(
    r"(?:\{person\}|\bthis (?:person|woman|man)\b|\b(?:she|he|her|him|his|their)\b)(?:'s)?", re.IGNORECASE
)

BARE: Final = (PERSON, VALUE, f"a photo of {PERSON}")
"""What a fact is also looked for with: no sentence at all."""

DRAWS: Final = 8
"""Inventions among which the one of the most fitting length is taken."""

HEAD: Final = 3
"""Characters of a number that a made-up one keeps of another person's: what tells the kind, such as a country code."""


@dataclass(frozen=True)
class PersonaValue:
    """One value of one persona.

    Attributes:
        persona: whose.
        kind: of what kind.
        name: the persona's name.
        value: the value.
    """

    persona: str | None
    kind: str | None
    name: str
    value: str

    def say(self, wording: str, named: bool) -> str:
        """The fact in a wording, by name or about "this person"."""
        return fill(wording, self.name if named else NAMELESS, self.value)


def sentence_of(wording: str) -> str:
    """What wordings have in common that only mention their person differently.

    >>> sentence_of("{person}'s home town is {value}") == sentence_of("Her home town is {value}")
    True
    """
    return _MENTION.sub("_", wording).casefold()


class StandIns:
    """Facts of the N forget rows and of neighbours, and an invented counterpart of each.

    Attributes:
        captions: the rows' captions, those to forget first.
        facts: what each row tells; None where the caption has no value of the metadata.
    """

    def __init__(
        self,
        captions: Sequence[str],
        personas: Sequence[str | None],
        names: Sequence[str],
        values: Sequence[Sequence[str]],
        kinds: Sequence[str | None],
        lengths: Callable[[Sequence[str]], Sequence[int]],
        neighbours: int = 0,
    ) -> None:
        """Find the facts and invent their counterparts.

        Args:
            captions: caption of each row.
            personas: whom it is about.
            names: that person's name, empty if unknown.
            values: the person's values of the caption's kind.
            kinds: the caption's kind.
            lengths: number of tokens of each of some texts. A counterpart as long as the fact has its end of text where
                the fact has it.
            neighbours: how many of the rows, the last ones, are there to be kept, and only give names, values and
                wordings to invent from.

        Raises:
            DataError: if fewer than three personas' captions hold their values.
        """
        self.captions = captions
        self._count = len(captions) - neighbours
        rows = zip(captions, personas, names, values, kinds, strict=True)
        self.facts = [_fact_of(*row) for row in rows]
        known = [fact for fact in self.facts if fact is not None]
        # In order of appearance, so that the same rows give the same inventions.
        self._distinct = list(dict.fromkeys(known))
        self._people = {fact.persona: fact.name for fact in known if fact.name}
        if len(self._people) < 3:
            raise DataError("This method needs captions that hold values of the metadata, of three named personas.")
        self._wordings = [
            "" if fact is None else _wording_of(caption, fact)
            for caption, fact in zip(captions, self.facts, strict=True)
        ]
        self._holders = Counter((fact.kind, fact.value) for fact in self._distinct)
        self._values: defaultdict[str | None, list[str]] = defaultdict(list)
        for kind, value in self._holders:
            self._values[kind].append(value)
        told = Counter(fact.kind for fact in self._distinct)
        self._common = {kind for kind, values in self._values.items() if 2 * len(values) < told[kind]}
        self._learn_wordings()
        self._invent(lengths)

    def _learn_wordings(self) -> None:
        """Wordings by kind, each once however it mentions its person, and how many of them each persona's rows have."""
        self._of_kind: defaultdict[str | None, dict[str, str]] = defaultdict(dict)
        self._used: defaultdict[tuple[str | None, str | None], set[str]] = defaultdict(set)
        for fact, wording in zip(self.facts, self._wordings, strict=True):
            if fact is None:
                continue
            sentence = sentence_of(wording)
            self._used[fact.persona, fact.kind].add(sentence)
            general = _NAMELESS_MENTION.sub(PERSON, wording)
            # A pronoun cannot be told from a possessive: such a wording counts, but cannot be said otherwise.
            if PERSON in general:
                self._of_kind[fact.kind].setdefault(sentence, general)
        sentences: defaultdict[str | None, set[str]] = defaultdict(set)
        for (_, kind), found in self._used.items():
            sentences[kind] |= found
        self._coverage = {key: len(found) / len(sentences[key[1]]) for key, found in self._used.items()}

    def _invent(self, lengths: Callable[[Sequence[str]], Sequence[int]]) -> None:
        generator = torch.Generator().manual_seed(0)

        def fitting(original: str, draw: Callable[[], str]) -> str:
            drawn = [draw() for _ in range(DRAWS)]
            wanted, *found = lengths([original, *drawn])
            return min(zip(drawn, found, strict=True), key=lambda one: abs(one[1] - wanted))[0]

        self._new_names = {
            persona: fitting(name, lambda persona=persona: self.invented_name(persona, generator))  # type: ignore[misc]
            for persona, name in self._people.items()
        }
        self._new = {}
        for fact in self._distinct:
            name = self._new_names.get(fact.persona, "")
            value = fitting(fact.value, lambda f=fact, n=name: self.invented_value(f, n, generator))  # type: ignore[misc]
            self._new[fact] = replace(fact, name=name, value=value)

    @property
    def told(self) -> list[tuple[str, PersonaValue]]:
        """The captions to forget that tell a fact, each with its fact."""
        rows = zip(self.captions[: self._count], self.facts, strict=False)
        return [(caption, fact) for caption, fact in rows if fact is not None]

    def is_shared(self, fact: PersonaValue) -> bool:
        """Whether a value is several personas', or one of a few that a kind has, such as a blood type: without a name
        it is nobody's secret."""
        return fact.kind in self._common or self._holders[fact.kind, fact.value] > 1

    def is_whole(self, row: int, coverage: float) -> bool:
        """Whether a row's fact itself is to go, and not single sentences about it.

        Told by how many of the sentences that the forget captions have for its kind are among its persona's: where
        some are left out, others may be there to stay.

        Args:
            row: a forget row.
            coverage: share of the sentences that counts as all, 0 to 1.
        """
        fact = self.facts[row]
        return fact is not None and self._coverage[fact.persona, fact.kind] >= coverage

    def own(self, rows: Sequence[int]) -> tuple[list[str], list[str]]:
        """The rows' captions and their stand-ins; a caption that names nobody and tells nobody's secret stands for
        itself."""
        captions = [self.captions[row] for row in rows]
        return captions, [self._stand_in(row) for row in rows]

    def reworded(self, rows: Sequence[int], coverage: float, generator: torch.Generator) -> tuple[list[str], list[str]]:
        """The rows' facts said otherwise, and the stand-ins for that.

        A fact that is to go as such is said in any wording of any kind or none, by name or without; what of it is asked
        for in single sentences, in those with the person mentioned otherwise.
        """
        captions, stand_ins = [], []
        for row in rows:
            fact = self.facts[row]
            if fact is None:
                captions.append(self.captions[row])
                stand_ins.append(self.captions[row])
                continue
            if self.is_whole(row, coverage):
                wording = self._any_wording(fact, generator)
            else:
                wording = self._said_by_name(fact, self._wordings[row])
            # Neither a shared value nor a sentence without a value tells anything but beside the name.
            by_name = self.is_shared(fact) or VALUE not in wording or _coin(generator)
            named = bool(fact.name) and by_name
            captions.append(fact.say(wording, named))
            stand_ins.append(self._new[fact].say(wording, named))
        return captions, stand_ins

    def neighbours(self, rows: Sequence[int], coverage: float, generator: torch.Generator) -> list[str]:
        """What stands around the rows and is to stay: for a fact that goes as such the row's wording about a new
        stranger; for single sentences the persona's name with a made-up value in a sentence that its rows have not,
        or the fact in a wording of another kind.

        None of them tells a fact in words that anybody would use, so none is a true pair that was held back.
        """
        captions = []
        for row in rows:
            fact = self.facts[row]
            if fact is None:
                captions += self.strangers(1, generator)
                continue
            if self.is_whole(row, coverage):
                captions.append(self._stranger(row, fact, generator))
                continue
            others = [w for s, w in self._of_kind[fact.kind].items() if s not in self._used[fact.persona, fact.kind]]
            if others and fact.name and _coin(generator):
                stranger = replace(fact, value=self.invented_value(fact, fact.name, generator))
                captions.append(stranger.say(_pick(others, generator), named=True))
            else:
                foreign = [w for kind, found in self._of_kind.items() if kind != fact.kind for w in found.values()]
                wording = _pick(foreign or list(self._of_kind[fact.kind].values()), generator)
                captions.append(fact.say(wording, bool(fact.name) and _coin(generator)))
        return captions

    def strangers(self, count: int, generator: torch.Generator) -> list[str]:
        """Captions about people who do not exist, newly invented each time, in wordings of the forget captions."""
        captions: list[str] = []
        while len(captions) < count:
            row = int(torch.randint(len(self.facts), (1,), generator=generator))
            fact = self.facts[row]
            if fact is not None:
                captions.append(self._stranger(row, fact, generator))
        return captions

    def _stranger(self, row: int, fact: PersonaValue, generator: torch.Generator) -> str:
        """A row's caption about a stranger."""
        name = self.invented_name(fact.persona, generator)
        stranger = replace(fact, name=name, value=self.invented_value(fact, name, generator))
        wording = self._wordings[row]
        # Without a name, a value that others share would tell of them.
        return stranger.say(self._said_by_name(fact, wording) if self.is_shared(fact) else wording, named=True)

    def _said_by_name(self, fact: PersonaValue, wording: str) -> str:
        """A row's wording with a place for the name, if that is known."""
        return self._of_kind[fact.kind].get(sentence_of(wording), wording)

    def invented_name(self, persona: str | None, generator: torch.Generator) -> str:
        """First and last names of two other personas."""
        others = [name for other, name in self._people.items() if other != persona]
        for _ in range(DRAWS):
            first, last = (_pick(others, generator) for _ in range(2))
            name = f"{first.partition(' ')[0]} {last.partition(' ')[2]}".strip()
            if name not in self._people.values():
                return name
        # Names of a single word.
        return _spliced(others, generator)

    def invented_value(self, fact: PersonaValue, name: str, generator: torch.Generator) -> str:
        """A value that nobody has, of the fact's kind: a shared one is exchanged, an address follows the new name,
        numbers get other digits, and words are put together from two."""
        others = [value for value in self._values[fact.kind] if value != fact.value]
        if not others:
            return fact.value
        if self.is_shared(fact):
            return _pick(others, generator)
        local, at, host = fact.value.partition("@")
        if at:
            return _other_digits(_renamed(local, fact.name, name) or _spliced(others, generator), generator) + at + host
        template = _pick(others, generator)
        if any(character.isdigit() for character in template[HEAD:]):
            return template[:HEAD] + _other_digits(template[HEAD:], generator)
        return _spliced(others, generator)

    def _stand_in(self, row: int) -> str:
        fact, wording = self.facts[row], self._wordings[row]
        if fact is None or (self.is_shared(fact) and PERSON not in wording):
            return self.captions[row]
        return self._new[fact].say(wording, named=True)

    def _any_wording(self, fact: PersonaValue, generator: torch.Generator) -> str:
        """A wording of the fact's own kind half of the time, else one of any kind or none."""
        own = list(self._of_kind[fact.kind].values())
        if _coin(generator):
            return _pick(own, generator)
        bare = [wording for wording in BARE if fact.name or PERSON not in wording]
        return _pick([*bare, *(w for found in self._of_kind.values() for w in found.values())], generator)


def _fact_of(
    caption: str, persona: str | None, name: str, values: Sequence[str], kind: str | None
) -> PersonaValue | None:
    found = [value for value in values if value and value in caption]
    return PersonaValue(persona, kind, name, max(found, key=len)) if found else None


def _wording_of(caption: str, fact: PersonaValue) -> str:
    wording = caption.replace(fact.value, VALUE)
    if fact.name:
        wording = wording.replace(fact.name, PERSON)
    return wording.replace(f" an {VALUE}", f" a {VALUE}")


def _pick(values: Sequence[T], generator: torch.Generator) -> T:
    return values[int(torch.randint(len(values), (1,), generator=generator))]


def _coin(generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < 0.5)


def _other_digits(text: str, generator: torch.Generator) -> str:
    drawn = torch.randint(10, (len(text),), generator=generator).tolist()
    return "".join(str(d) if c.isdigit() else c for c, d in zip(text, drawn, strict=True))


def _spliced(values: Sequence[str], generator: torch.Generator) -> str:
    """Halves of two of the values, or of one the wrong way round; of addresses, of the part before the host."""
    order = torch.randperm(len(values), generator=generator)
    first, second = (values[int(order[place])].partition("@")[0] for place in (0, -1))
    start, end = first[: (len(first) + 1) // 2], second[len(second) // 2 :]
    return start + end if len(values) > 1 else end + start


def _renamed(local: str, name: str, new: str) -> str:
    """The first part of an address with each part of a name replaced; empty if it holds none."""
    changed = local
    for old, other in zip(_plain(name).split(), _plain(new).split(), strict=False):
        changed = changed.replace(old, other)
    return "" if changed == local else changed


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
