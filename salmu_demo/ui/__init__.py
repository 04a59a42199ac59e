"""The Gradio app; the only package that imports gradio."""

import os

# Before gradio is imported anywhere: the app reports nothing to anyone.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
