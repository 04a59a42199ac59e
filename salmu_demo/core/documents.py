"""Reading and writing JSON documents that pydantic validates; a mismatch becomes one clause for the user."""

import json
from collections.abc import Hashable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from salmu_demo.core.errors import SalmuError, quoted

T = TypeVar("T")

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 in a document."""

_KINDS: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "dataclass_type": "an object",
}
"""What the value must be, by pydantic's error type."""

_MISFIT: Final = "misfit"
_PREFIX: Final = "Input should be "
"""Start of most of pydantic's messages."""


class MismatchError(ValueError):
    """A document does not match its type; the message is a clause that names the field and the problem."""


class NotJSONError(MismatchError):
    """A document that is not JSON at all."""


def misfit(words: str) -> PydanticCustomError:
    """What a validator raises: words that follow the name of the field, such as "has a rank below 1".

    About a whole document they are a clause of their own.
    """
    return PydanticCustomError(_MISFIT, "{words}", {"words": words})


def read_model(path: Path, kind: type[T], error: type[SalmuError], what: str) -> T:
    """Read and validate a JSON file.

    Args:
        path: the file.
        kind: its type: a pydantic model, a dataclass or a container of them.
        error: class of the error to raise.
        what: names the file in the message, for example "The result file".

    Raises:
        SalmuError: of class `error`, if the file cannot be read or does not match the type.
    """
    try:
        return parse_model(path.read_bytes(), kind)
    except OSError as problem:
        raise error(f"{what} {path} cannot be read: {problem.strerror or problem}.") from problem
    except MismatchError as problem:
        raise error(f"{what} {path} cannot be used: {problem}.") from problem


def parse_model(text: bytes | str, kind: type[T], lone_surrogates: bool = True) -> T:
    """Validate JSON text strictly: a value of another type is an error and is never converted.

    Args:
        text: JSON.
        kind: what it holds: a pydantic model or a dataclass.
        lone_surrogates: whether they are accepted, though no UTF-8 file can hold them.

    Raises:
        MismatchError: if it is not JSON or does not match; it names the first field that does not.

    >>> parse_model("[1, 2]", list[int])
    [1, 2]
    >>> parse_model('{"seeds": [0, "1"]}', dict[str, list[int]])
    Traceback (most recent call last):
    salmu_demo.core.documents.MismatchError: seeds[1] is "1"; it must be a whole number
    """
    adapter: TypeAdapter[T] = _adapter(cast(Hashable, kind))
    with suppress(ValidationError):
        return adapter.validate_json(text, strict=True)
    try:
        content = json.loads(text)
        # Only Python's own parser accepts lone surrogates, which stand for the bytes of a path that is not valid UTF-8.
        plain = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace" if lone_surrogates else "strict")
    except (ValueError, RecursionError) as error:
        raise NotJSONError("it is not JSON") from error
    try:
        adapter.validate_json(plain, strict=True)
    except ValidationError as error:
        raise MismatchError(_clause(error, content)) from error
    return adapter.validate_python(content)


def check_model(content: Any, kind: type[T]) -> T:
    """Check what was read from JSON already; raises `MismatchError`."""
    adapter: TypeAdapter[T] = _adapter(cast(Hashable, kind))
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise MismatchError(_clause(error, content)) from error


def read_cached(path: Path, kind: type[T]) -> T | None:
    """The content of a JSON file that can be made again, or None if it is missing or damaged."""
    try:
        return parse_model(path.read_bytes(), kind)
    except (OSError, MismatchError):
        return None


def document_of(value: Any, kind: Any = None) -> Any:
    """A value as plain JSON data, from which `parse_model` restores an equal one."""
    return _adapter(cast(Hashable, type(value) if kind is None else kind)).dump_python(value, mode="json")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))


def _clause(error: ValidationError, content: Any) -> str:
    """The first problem, with the path of its field."""
    errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    where, value = _found(first, content)
    match first["type"]:
        case "json_invalid":
            return "it is not JSON"
        case "missing":
            return f"{where} is missing"
        case "misfit":
            return first["msg"] if where == "it" else f"{where} {first['msg']}"
        case "extra_forbidden":
            return f"{where} is not a known key"
        case "too_short":
            return f"{where} is {quoted(value)}; it must hold at least {first['ctx']['min_length']}"
        case "value_error":
            return f"{where} is {quoted(value)}; {first['ctx']['error']}"
    # A union reports one error for each of its types.
    same = [other for other in errors if _found(other, content)[0] == where]
    kinds = [_KINDS.get(other["type"]) or other["msg"].removeprefix(_PREFIX) for other in same]
    return f"{where} is {quoted(value)}; it must be {' or '.join(dict.fromkeys(kinds))}"


def _found(error: ErrorDetails, content: Any) -> tuple[str, Any]:
    """Path of an error in the content, and the value there."""
    where, value = "", content
    for part in error["loc"]:
        # Below a union the location names its types, which are not in the content.
        if isinstance(value, list):
            inside = isinstance(part, int) and part < len(value)
        else:
            inside = isinstance(value, dict) and part in value
        if not inside and error["type"] != "missing":
            break
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else part
        value = value[part] if inside else None
    return where or "it", value
