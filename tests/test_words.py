"""The English of messages, docstrings and documentation: turns of phrase that a native reader stumbles over."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for pattern in ("sknic/**/*.py", "docs/**/*.md", "examples/*.py", "README.md", "CONTRIBUTING.md")
    for path in ROOT.glob(pattern)
    if not {"generated", "_build", "auto_examples"} & set(path.parts)
)
_NOUN = "slide|patch|cell|grid|patient|task|class|fold|file|row|column|command|cause|epoch|batch|tile|level|line|step"
RULES = {
    '"X is no Y": write "is not a Y"': re.compile(
        r"(?<!here )\b(?:is|are|was|were) (?:no (?!longer|more|less|fewer|better|larger|smaller)\w+|none\b(?! of))"
    ),
    '"one X a Y": write "one X per Y"': re.compile(
        rf"\bone (?:(?!(?:is|of|for|in|on|to|as|lacks|has) )\w+ ){{0,2}}an? (?:{_NOUN})\b", re.IGNORECASE
    ),
    '"for" as a conjunction: write "because"': re.compile(
        r", for (?:the|an?|it|they|there|its|this|some|no|each|every) (?:\w+ )?"
        r"(?:is|are|has|have|had|may|can|cannot|would|will|does|do|did|was|were)\b"
    ),
    '"None where": write "None if"': re.compile(r"\b(?:None|[Ee]mpty|NaN) where\b"),
    "an old turn of phrase": re.compile(
        r"\bat hand\b|\banew\b|\b(?:came|became|becomes) of\b|\bknows? (?:no|nothing)\b|\boftener\b"
    ),
    "British spelling": re.compile(
        r"[Cc]olour|\b[Cc]entred?\b|\b[Gg]rey|[Nn]eighbour|ormalis[ei]|tandardis[ei]|rganis[ei]|ecognis[ei]"
    ),
    "a genitive without its noun": re.compile(r"^ +\w[\w, ]* : .*\n +Of (?:the|a|an|each|every|its)\b", re.MULTILINE),
}

BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
SPLITTER = re.compile(
    r"^(?!from ).*\b(?:cross_val_score|cross_val_predict|cross_validate|GridSearchCV)\(", re.MULTILINE
)


@pytest.mark.parametrize("rule", RULES)
def test_words(rule):
    found = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for match in RULES[rule].finditer(text):
            line = text.count("\n", 0, match.end()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {' '.join(match.group().split())}")
    assert not found, f"{rule}\n" + "\n".join(found)


def test_code_that_people_copy_splits_by_patient():
    """An example that splits slides and not patients teaches the mistake that the package is there to prevent."""
    pages = [path for path in FILES if path.suffix == ".md"]
    blocks = [(path, block) for path in pages for block in BLOCK.findall(path.read_text(encoding="utf-8"))]
    splits = [(path, block) for path, block in blocks if SPLITTER.search(block)]
    assert len(splits) >= 5
    assert not [(path.name, block) for path, block in splits if "groups" not in block]
