"""What makes a model folder auditable: its card, the evaluation behind it, and the digests of all its files."""

import shutil
from dataclasses import replace
from pathlib import Path

from sknic.files.digests import changed_files, digest_of, read_digests, renew_digest, write_digests
from sknic.files.whole import whole_file

CARD = "model_card.md"
EVALUATION = "evaluation"


def seal_model(folder, card, run=None, record=None):
    """Write the card, the evaluation if there is one, and finally the digests.

    Parameters
    ----------
    folder : Path
        Folder of the model, which already contains all its other files.
    card : ModelCard
    run : RunFolder, optional
        Evaluation of the models.
    record : Path, optional
        The run.json of the evaluation.
    """
    folder = Path(folder)
    if run is not None:
        replace(run, overlays={}).write(folder / EVALUATION)
        shutil.copyfile(record, folder / EVALUATION / "run.json")
    with whole_file(folder / CARD) as temporary:
        temporary.write_text(card.to_markdown(), encoding="utf-8", errors="backslashreplace")
    write_digests(folder)


def add_to_card(folder, heading, table):
    """Append a section to the card; the existing text is never changed.

    Parameters
    ----------
    folder : Path
        Folder of a sealed model.
    heading : str
        Heading, to which a number is appended.
    table : DataFrame

    Raises
    ------
    ModelFileError
        If the card is not as sknic wrote it, or if there are no digests.
    """
    from sknic.exceptions import ModelFileError
    from sknic.report.model_card import as_markdown

    card = Path(folder) / CARD
    try:
        is_whole = card.is_file() and read_digests(folder).get(CARD) == digest_of(card)
    except ValueError as error:
        raise ModelFileError(f"nothing is added to the card of {folder}: {error}") from None
    if not is_whole:
        raise ModelFileError(f"{card} was changed after sknic wrote it, so nothing is added to it; see `sknic verify`")
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
