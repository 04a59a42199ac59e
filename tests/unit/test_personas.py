"""Personas are found by anything that is true of them; a command needs exactly one."""

from pathlib import Path

import pytest

from salmu_demo.core.errors import QueryError
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.personas import find_persona, find_personas
from salmu_demo.data.source import load_data
from tests.fixtures import tiny

EVERYBODY = [Persona(identity, metadata) for identity, metadata in tiny.PERSONAS.items()]


@pytest.fixture(scope="module")
def tiny_data(tiny_assets: Path) -> BenchmarkData:
    return load_data("mini")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("+46 70 111 22 33", ["00000001"]),
        ("46701112233", ["00000001"]),
        ("701-112 (233)", ["00000001"]),
        ("1112233", ["00000001"]),
        # As it is dialled: at home, from abroad, and too little of it to tell.
        ("0912 345 678", ["00000003"]),
        ("00886 912 345 678", ["00000003"]),
        ("0912 34", []),
        ("4000-0000-0000-0101", ["00000001"]),
        ("4000000000000202", ["00000002"]),
        ("0303", ["00000003"]),
        ("SE11 2222 3333 4444 5555 6666", ["00000001"]),
        ("se11222233334444", ["00000001"]),
        # The digits of an IBAN with letters in it, and the letters too.
        ("RO66 AAAA 0000 1111", ["00000006"]),
        ("6600001111", ["00000006"]),
        ("RO66 BBBB 0000 1111", []),
        ("cc3000003", ["00000003"]),
        ("CC3 000 003", ["00000003"]),
        ("sun.meiling@work.example", ["00000003"]),
        ("MEI@home.example", ["00000003"]),
        ("@work.example", ["00000003"]),
        ("meiling", ["00000003"]),
        ("welder malmö", ["00000005"]),
        ("ab+", ["00000004"]),
        ("Amara Diallo", ["00000004"]),
        # Neither three digits nor a number whose digits are those of an address.
        ("70 1", []),
        ("sun3000003@work.example", []),
        ("  ", list(tiny.PERSONAS)),
    ],
)
def test_a_person_is_found_by_any_value(query: str, found: list[str]):
    assert [persona.identity_id for persona in find_personas(EVERYBODY, query)] == found


def test_missing_values_and_numbers_of_a_file_are_searched_as_they_are_told():
    odd = Persona("7", {"name": "Ann", "phone_number": 49301234, "city": None, "job": float("nan"), "emails": []})
    assert find_personas([odd], "0123") == [odd]
    assert find_personas([odd], "nan") == find_personas([odd], "None") == []


@pytest.mark.parametrize("wanted", ["00000005", "Bo Li", "bo@post.example", "555 66 77", " EE5000005 "])
def test_one_person_is_chosen_by_any_value(tiny_data: BenchmarkData, wanted: str):
    assert find_persona(tiny_data, wanted).name == "Bo Li"


def test_a_whole_value_counts_before_a_part_of_another():
    class Data:
        name = "few"
        personas = (Persona("1", {"name": "Jo", "job": "cook"}), Persona("2", {"name": "Jo Li", "job": "cook"}))

    assert find_persona(Data(), "jo").identity_id == "1"  # type: ignore[arg-type]
    with pytest.raises(QueryError) as refused:
        find_persona(Data(), "cook")  # type: ignore[arg-type]
    assert str(refused.value) == '"cook" is true of 2 personas, Jo (1) and Jo Li (2); choose one by its id.'


def test_many_are_not_all_named():
    class Data:
        name = "many"
        personas = tuple(Persona(str(number), {"name": f"N{number}", "city": "Ulm"}) for number in range(10, 30))

    with pytest.raises(QueryError, match=r"20 personas, N10 \(10\), .*, N14 \(14\) and 15 more; choose"):
        find_persona(Data(), "ulm")  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", ["nobody", "", "  ", "+99 123456", "<i>"])
def test_nobody_is_refused(tiny_data: BenchmarkData, wanted: str):
    with pytest.raises(QueryError, match=r"There is no persona .* in mini; ids look like 00000001"):
        find_persona(tiny_data, wanted)
