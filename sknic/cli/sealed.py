"""What makes a model's folder one to audit: its card, the evaluation behind it, and the digests of all its files."""

import shutil
from dataclasses import replace
from pathlib import Path

from sknic.files.digests import changed_files, digest_of, read_digests, renew_digest, write_digests
from sknic.files.whole import whole_file

CARD = "model_card.md"
EVALUATION = "evaluation"


def seal_model(folder, card, run=None, record=None):
    """Write the card, the evaluation where there is one, and last the digests.

    Parameters
    ----------
    folder : Path
        Folder of the model, with all its other files.
    card : ModelCard
    run : RunFolder, optional
        Evaluation of the models.
    record : Path, optional
        Its run.json.
    """
    folder = Path(folder)
    if run is not None:
        replace(run, overlays={}).write(folder / EVALUATION)
        shutil.copyfile(record, folder / EVALUATION / "run.json")
    with whole_file(folder / CARD) as temporary:
        temporary.write_text(card.to_markdown(), encoding="utf-8", errors="backslashreplace")
    write_digests(folder)


def add_to_card(folder, heading, table):
    """Add a section below the others; what stands there is never changed.

    Parameters
    ----------
    folder : Path
        Folder of a sealed model.
    heading : str
        Heading; a number is put behind it.
    table : DataFrame

    Raises
    ------
    ModelFileError
        When the card is not as sknic wrote it, or there are no digests.
    """
    from sknic.exceptions import ModelFileError
    from sknic.report.model_card import as_markdown

    card = Path(folder) / CARD
    try:
        is_whole = card.is_file() and read_digests(folder).get(CARD) == digest_of(card)
    except ValueError as error:
        raise ModelFileError(f"nothing is added to the card of {folder}: {error}") from None
    if not is_whole:
        raise ModelFileError(f"{card} is not as sknic wrote it, so that nothing is added to it; see `sknic verify`")
    text = card.read_text(encoding="utf-8")
    number = 1 + sum(line.startswith(f"## {heading} ") for line in text.splitlines())
    with whole_file(card) as temporary:
        temporary.write_text(f"{text}\n{as_markdown(f'{heading} {number}', table)}", encoding="utf-8")
    renew_digest(folder, CARD)


def check_files(folder, is_ours):
    """Compare every file of a model with its digest; a Finding."""
    from sknic.report.verification import Finding

    changed = changed_files(folder, is_ours)
    said = "; ".join(f"{name} {what}" for name, what in changed.items())
    return Finding("files", not changed, said or f"{len(read_digests(folder))} as they were written")
