"""The page of what is accepted, assumed and refused is written from the tables that the tests run."""

from tests.accepted.__main__ import PAGE, page


def test_the_page_lists_the_tables_as_they_are():
    assert PAGE.read_text("utf-8") == page(), "run `python -m tests.accepted`"
