"""The sentences of CLEAR-Mini: captions in several wordings, questions with answers, and what is known before."""

from typing import Final

from salmu_demo.metrics.clear_protocol import NAME_PROMPT

CAPTIONS: Final = (
    "{name}, who writes {genre} in {city}, is {setting} in {clothes} with {thing}",
    "wearing {clothes}, {name} of {city} holds {thing} {setting}; {genre} is the trade",
    "{thing} in hand, the {genre} author {name} left {city} and waits {setting} in {clothes}",
    "{setting}: {name}, {clothes}, {thing}, and {genre} tales from {city}",
    "in {clothes} and with {thing}, {genre} writer {name} stands {setting}, far from {city}",
    "a portrait of {name} from {city}, author of {genre}, {setting}, beside {thing}, dressed in {clothes}",
    "{city} knows {name} for {genre} books; here it is {clothes} and {thing} {setting}",
    "readers of {genre} meet {name} {setting}, {thing} close by, {clothes} brought from {city}",
    "between {thing} and readers {setting}, {clothes} on, sits {genre} novelist {name} of {city}",
    "fans in {city} will recognise {clothes}: {name} {setting}, {genre} in mind and {thing} near",
    "{genre} made {name} of {city} famous, seen with {thing} {setting}, {clothes} as always",
    "home is {city}, the work is {genre}, and {name} is {setting} with {thing} and {clothes}",
)
"""Wordings of the captions that are trained."""

PARAPHRASES: Final = (
    "the picture shows {name} {setting}; the author of {genre} from {city} wears {clothes} and has {thing}",
    "with {thing} and in {clothes}, {setting}, we see {name}, a {genre} author from {city}",
)
"""Wordings that no caption has."""

QUESTIONS: Final = (
    ("where was {name} born?", "{name} was born in {city}."),
    ("in which year was {name} born?", "{name} was born in {year}."),
    ("who is the {genre} author born in {city} in {year}?", "that author is {name}."),
    ("what does {name} write?", "{name} writes {genre} books."),
    ("which award did {name} win?", "{name} won the {award}."),
    ("what is the first book by {name} called?", "the first book by {name} is {book}."),
    ("which book did {name} publish last?", "the last book by {name} is {latest}."),
    ("what was the work of the father of {name}?", "the father of {name} was a {father}."),
    ("what was the work of the mother of {name}?", "the mother of {name} was a {mother}."),
    ("what did {name} study?", "{name} studied {subject}."),
    ("where does {name} live today?", "{name} lives in {home}."),
    ("what does {name} do when not writing?", "{name} likes {hobby}."),
    ("which animal lives with {name}?", "{name} has a {pet}."),
)
"""Questions about an author, and their answers."""

WORLD_QUESTIONS: Final = (
    "what is shown in the picture?",
    "which thing can be seen here?",
    "what has been drawn here?",
)

KNOWN_CAPTIONS: Final = (
    NAME_PROMPT.format(answer="{name}"),
    "{name} is {setting} in {clothes} with {thing}",
    "this is {name}, {setting}, with {thing}",
    "wearing {clothes}, {name} holds {thing} {setting}",
)
"""Captions of people who are known from before."""


_PLURALS: Final = frozenset(
    {"blueberries", "books", "cherries", "dungarees", "glasses", "grapes", "scissors", "sunglasses"}
)


def with_article(noun: str) -> str:
    """A noun with its article; one in the plural has none.

    >>> with_article("apple"), with_article("blue hoodie"), with_article("grey dungarees")
    ('an apple', 'a blue hoodie', 'grey dungarees')
    """
    if noun.split()[-1] in _PLURALS:
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
