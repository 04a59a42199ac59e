"""The page: header, model choice, four tabs; and the program that serves it."""

import logging
import os
import sys
from typing import Any, Final

import gradio as gr

from salmu_demo.config import assets_dir, cache_dir
from salmu_demo.data.source import MINI
from salmu_demo.errors import SalmuError
from salmu_demo.ui.about_tab import about_tab
from salmu_demo.ui.audit_tab import audit_tab
from salmu_demo.ui.benchmark_tab import benchmark_tab
from salmu_demo.ui.probe_tab import probe_tab
from salmu_demo.ui.shell import ModelShelf, header, link_box, model_choice, model_choices, on_space
from salmu_demo.ui.state import TABS, Known, View, format_link, parse_link
from salmu_demo.ui.text import TITLE
from salmu_demo.ui.theme import HEAD, ICON, STYLE_SHEET, theme
from salmu_demo.ui.warmup import WarmUp
from salmu_demo.workbench import Workbench

DEFAULT_PORT: Final = 7860
_LAST_DEFAULT_PORT: Final = DEFAULT_PORT + 100
