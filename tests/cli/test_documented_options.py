"""Every option of `sknic COMMAND ...` in the README and in the docs is one that the program has."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from sknic.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts)]
COMMANDS = get_command(app).commands
OPTIONS = {
    name: {spelling for parameter in command.params for spelling in (*parameter.opts, *parameter.secondary_opts)}
    for name, command in COMMANDS.items()
}
# What `main` takes out wherever it stands.
EVERYWHERE = {"--debug", "--help", "-h"}


def named(text):
    """(command, option) for each option that follows `sknic COMMAND` in the same piece of code."""
    found = []
    for code in code_of(text):
        for call in re.split(r"(?=\bsknic [a-z])", code.replace("\\\n", " ")):
            words = re.match(r"sknic ([a-z][a-z-]*)([^\n]*)", call)
            if words and words[1] in COMMANDS:
                line = words[2].split(" #")[0].split("|")[0].split("&&")[0]
                found += [(words[1], option) for option in re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", line)]
    return found


def code_of(text):
    """Fenced blocks whole, and what stands between backticks in the text around them."""
    parts = re.split(r"^(?:```|~~~)[^\n]*\n(.*?)^(?:```|~~~)", text, flags=re.M | re.S)
    for number, part in enumerate(parts):
        yield from [part] if number % 2 else re.findall(r"`([^`]+)`", part)


def test_options_are_found_in_blocks_across_lines_and_in_the_text():
    code = "```bash\nsknic fit a.csv --task x \\\n  --out y  # --not-this\nls --all\n```\n"
    text = f"{code}Try `sknic view a --port 3`, `--x`."
    assert named(text) == [("fit", "--task"), ("fit", "--out"), ("view", "--port")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_option_in_the_docs_is_one_of_the_program(page):
    unknown = [
        f"sknic {command} {option}"
        for command, option in named(page.read_text(encoding="utf-8"))
        if option not in OPTIONS[command] | EVERYWHERE
    ]
    assert not unknown


def test_the_pages_name_options_at_all():
    found = {command for page in PAGES for command, _ in named(page.read_text(encoding="utf-8"))}
    assert {"compress", "evaluate", "predict", "explain", "view"} <= found
