"""Sphinx builds these pages; the references are generated from the code as it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Listener"
author = "The Listener maintainers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "generated"]
project_copyright = "The Listener maintainers"
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Listener"
# Furo's own fonts and scripts only: the pages ask nothing of any other host.
html_permalinks_icon = "#"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
