"""Configuration of the documentation: theme, API pages, gallery."""

import doctest
import warnings
from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

import sknic
from sknic.cli import app

project = "sknic"
author = "the sknic developers"
copyright = author
release = version = sknic.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "paper/*/*.md"]  # the parts of paper_results.md
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The help of each command as a terminal shows it, for cli.md.
HELP = Path(__file__).parent / "generated" / "cli"
HELP.mkdir(parents=True, exist_ok=True)
for command in app.registered_commands:
    name = command.callback.__name__.replace("_", "-")
    terminal = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}
    (HELP / f"{name}.txt").write_text(CliRunner().invoke(app, [name, "--help"], env=terminal).output)

# Tables of benchmarks without the column that says on which machine.
for name in ("encoders", "encoders_differences", "encoder_body", "encoder_body_differences"):
    table = pd.read_csv(Path(__file__).parents[1] / "benchmarks" / "results" / f"{name}.csv")
    table.drop(columns="machine").to_csv(HELP.parent / f"{name}.csv", index=False)

# Every code block marked `testcode` is run by `sphinx-build -b doctest`, on the small cohort that this prepares.
doctest_default_flags = doctest.ELLIPSIS
doctest_global_setup = (Path(__file__).parent / "doctest_setup.py").read_text()

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sknic",),
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1,
    "abort_on_example_error": False,
    "plot_gallery": "True",
}

html_theme = "pydata_sphinx_theme"
html_title = f"sknic {release}"
html_static_path = ["_static"]
html_css_files = ["sknic.css"]
html_logo = html_favicon = "_static/logo.svg"
html_theme_options = {
    "navbar_align": "left",
    "logo": {"text": html_title},
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {"index": [], "changelog": [], "first_result": []}
html_show_sourcelink = False

# Displays call plt.figure themselves; the Agg backend of the gallery has nothing to show.
warnings.filterwarnings("ignore", message=".*is non-interactive, and thus cannot be shown")
