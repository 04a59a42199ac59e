"""English sentences of the tab about data of one's own."""

from typing import Final

INTRODUCTION: Final = (
    "## A table of your own\nA table with one image in each row, whose person and facts a model may know, becomes a "
    "data set that every tab can ask about. You say what the columns are; splits are drawn where no column says them."
)
UPLOAD: Final = "Upload a table (up to {limit})"
FORMATS: Final = (
    "A parquet or tar file with the images in it, or a zip file of a csv, tsv, jsonl or parquet table and the images "
    "that it names."
)
PATH: Final = "Or a table of this machine"
PATH_HELP: Final = "A csv, tsv, jsonl, parquet, tar or zip file, or a folder with metadata.csv or shards."
LOOK: Final = "Look at it"
NOTHING_TITLE: Final = "No table yet"
NOTHING: Final = "Upload one, or name one. Its first ten rows appear here, and what its columns seem to be."
NO_UPLOADS: Final = "This page takes no uploads; its owner can allow them with SALMU_UPLOAD_GB."
NO_PATHS: Final = "On a Space a table is uploaded; nothing of its machine is read."
NO_TABLE: Final = "Upload a table, or type where one is."
COLUMNS: Final = "What the columns are"
NONE: Final = "none"
TARGETS: Final[dict[str, str]] = {
    "image": "Bytes, or the name of a file",
    "text": "The caption",
    "persona": "Whose image it is; none for rows of nobody",
    "name": "What the person is called",
    "kind": "Which fact it is, such as city",
    "value": "The fact itself",
    "split": "forget, retain, …; without it splits are drawn",
    "generic": "A caption that gives nothing away",
}
"""What a column can be, and what that means."""
MISSING: Final = "Choose the column of the {what}."
PERSON: Final = "person (persona or name)"
NAME: Final = "Name of the data set"
SEED: Final = "Seed"
SEED_HELP: Final = "Of the splits, where no column says them."
IMPORT: Final = "Import"
WITHOUT_SPLIT: Final = "by choosing none for split"
OPEN: Final = "Open the data set"
DONE: Final = "{rows:,} rows about {personas:,} people became the data set {name}."
KEPT_HERE: Final = "It is kept in {folder}, and can be chosen under “Data and models” from now on."
KEPT_ON_SPACE: Final = (
    "It can be chosen under “Data and models”. Only whoever has the address of its page finds it, and it goes after a "
    "day."
)
BECAME: Final = "What became what"
SPLITS: Final = "Splits"
KINDS: Final = "Facts"
