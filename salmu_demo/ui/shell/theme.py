"""Look of the page: a theme that passes the contrast check in both modes, and the style sheet beside this file."""

from pathlib import Path
from typing import Final

import gradio as gr

STYLE_SHEET: Final = Path(__file__).with_name("style.css")
ICON: Final = Path(__file__).with_name("icon.svg")

HEAD: Final = (
    '<meta name="description" content="Audit what CLIP models know about fictitious personas, before and after '
    'unlearning">'
)


def theme() -> gr.themes.Base:
    """The theme. System fonts, so that nothing is fetched; darker text than the stock theme, which is too pale."""
    return gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
        block_label_text_color="*neutral_800",
        block_title_text_color="*neutral_800",
        link_text_color="*primary_700",
        link_text_color_hover="*primary_800",
        link_text_color_active="*primary_700",
        link_text_color_visited="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_hover_dark="*primary_200",
        link_text_color_active_dark="*primary_300",
        link_text_color_visited_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color_dark="white",
        button_cancel_background_fill="*neutral_100",
        button_cancel_text_color="#b91c1c",
        button_cancel_background_fill_dark="#450a0a",
        button_cancel_text_color_dark="#fecaca",
    )
