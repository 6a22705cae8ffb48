"""The English of messages, docstrings and documentation: turns of phrase that a native reader stumbles over."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for path in [*ROOT.glob("sknic/**/*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    if not {"generated", "_build", "auto_examples"} & set(path.parts)
)
_NOUN = "slide|patch|cell|grid|patient|task|class|fold|file|row|column|command|cause|epoch|batch|tile|level|line|kind|step"
RULES = {
    '"X is no Y": write "is not a Y"': re.compile(
        r"(?<!here )\b(?:is|are|was|were) (?:no (?!longer|more|less|fewer|better|worse|larger|smaller|such)\w+|none\b(?! of))"
    ),
    '"one X a Y": write "one X per Y"': re.compile(rf"\b(?:one|two|a) (?:\w+ )?an? (?:{_NOUN})\b", re.IGNORECASE),
    "a genitive without its noun": re.compile(r"^ +\w[\w, ]* : .*\n +Of (?:the|a|an|each|every|its)\b", re.MULTILINE),
}
# Sentences that one of the rules takes for its own.
ALLOWED = ()


@pytest.mark.parametrize("rule", RULES)
def test_words(rule):
    found = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for match in RULES[rule].finditer(text):
            if not any(phrase in text[max(0, match.start() - 40) : match.end() + 40] for phrase in ALLOWED):
                line = text.count("\n", 0, match.end()) + 1
                found.append(f"{path.relative_to(ROOT)}:{line}: {' '.join(match.group().split())}")
    assert not found, f"{rule}\n" + "\n".join(found)
