"""The readings of an unlearning job, kept in its folder while it runs, so that whoever looks sees the curve grow."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from salmu_demo.core.files import write_text
from salmu_demo.unlearning.reading import Reading

READINGS_FILE: Final = "readings.json"


def keep_reading(folder: Path, reading: Reading) -> None:
    """Add a reading, or replace the one of the same step that an earlier run has left; raises :class:`StorageError`."""
    readings = {known.step: known for known in read_readings(folder)} | {reading.step: reading}
    document = [asdict(readings[step]) for step in sorted(readings)]
    write_text(folder / READINGS_FILE, json.dumps(document, indent=1) + "\n", "The reading")


def read_readings(folder: Path) -> list[Reading]:
    """The readings in the order of their steps; none if the file is missing or damaged, because a run repeats them."""
    try:
        return [Reading(**entry) for entry in json.loads((folder / READINGS_FILE).read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
