"""Pieces that several commands share: options, and help with examples."""

import argparse
from typing import Any

from salmu_demo.data.source import MINI


def add_command(commands: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """Add a command whose `--help` ends with examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_models(parser: argparse.ArgumentParser, count: str = "+") -> None:
    """Add the positional models and `--arch`."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs=count,
        help="built-in name, local-dir:FOLDER, hf-hub:ORG/NAME[@REVISION], or a .safetensors file",
    )
    parser.add_argument("--arch", metavar="NAME", help="open_clip architecture of a bare weight file, e.g. ViT-B-16")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument("--data", metavar="DATA", default=MINI, help="mini (default), a folder, or a Hub data set id")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
