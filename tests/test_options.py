"""The options that the documentation names are those that the program has."""

import re
from pathlib import Path

import pytest
import typer

from sknic.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"] if "generated" not in path.parts)
GROUP = typer.main.get_command(app)
EVERYWHERE = {"-h", "--help", "--debug", "--version", "--install-completion", "--show-completion"}
OPTIONS = {
    name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for name, command in GROUP.commands.items()
}
# Pages on programs of their own, whose options stand alone in the text.
OTHER_PROGRAMS = {"paper.md", "paper_results.md"}
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def calls(text):
    """(command, options) of every call of `sknic` in code: to the end of its line, lines that go on included."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text.replace("\\\n", " "), re.DOTALL)
    for command, rest in re.findall(r"\bsknic ([a-z][a-z-]+)\b([^\n`|#]*)", "\n".join(code)):
        yield command, re.findall(r"(?<![\w-])--?[a-z][\w-]*", rest)


def test_calls_are_found_across_lines():
    text = (
        "```\nsknic compress slides \\\n  --encoder e.h5   # --not this\n```\nand `sknic cache F --prune`, --nor-this"
    )
    assert list(calls(text)) == [("compress", ["--encoder"]), ("cache", ["--prune"])]
    code = "```bash\nsknic fit a.csv --task x \\\n  --out y  # --not-this\nls --all\n```\n"
    text = f"{code}Try `sknic view a --port 3 -h`, `--x`."
    assert list(calls(text)) == [("fit", ["--task", "--out"]), ("view", ["--port", "-h"])]


def test_the_pages_name_options_at_all():
    found = {command for page in PAGES for command, options in calls(page.read_text(encoding="utf-8")) if options}
    assert {"compress", "evaluate", "predict", "explain", "view"} <= found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_calls_in_the_documentation_have_options_that_exist(page):
    wrong = [
        f"sknic {command} {option}"
        for command, options in calls(page.read_text(encoding="utf-8"))
        if command in OPTIONS
        for option in options
        if option not in OPTIONS[command] | EVERYWHERE
    ]
    assert not wrong


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in OTHER_PROGRAMS], ids=lambda page: page.name
)
def test_options_named_alone_exist(page):
    known = set.union(EVERYWHERE, *OPTIONS.values())
    named = [_OPTION.match(code)[0] for code in re.findall(r"`(--[a-z][^`\n]*)`", page.read_text(encoding="utf-8"))]
    assert not sorted(set(named) - known)
