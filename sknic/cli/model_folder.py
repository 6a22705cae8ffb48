"""The folder of a model or of fold models: written whole or not at all, and read back with its settings."""

import os
import shutil
import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path

from sknic.exceptions import ModelFileError
from sknic.files.records import read_json
from sknic.files.whole import umask

_OURS = (
    *("model.safetensors", "history.csv", "learnt_slides.csv", "run.json", "options.toml"),
    *("evaluation", "model_card.md", "digests.json"),
)
_FOLDS = "fold_*.safetensors"


@contextmanager
def replaced_folder(folder):
    """Give an empty folder that replaces a model folder if the block succeeds, and is removed otherwise.

    Files that do not belong to a model, such as grids, are kept; those of an earlier model are removed.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    Path
    """
    folder = Path(folder).resolve()  # the folder behind a link, not the link
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = _empty_folder(folder)
    try:
        yield new
        os.chmod(new, folder.stat().st_mode if folder.is_dir() else 0o777 & ~umask())
        _take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _empty_folder(folder):
    """A new folder next to another one, or inside it if only that one is writable, as in a container."""
    names = {"prefix": f".{folder.name}.", "suffix": ".part"}
    try:
        return Path(tempfile.mkdtemp(**names, dir=folder.parent))
    except OSError:
        if not folder.is_dir():
            raise
        return Path(tempfile.mkdtemp(**names, dir=folder))


def _take_place(new, folder):
    if not folder.exists():
        os.replace(new, folder)
        return
    if folder.samefile(Path.cwd()):  # the shell would be left in a folder that is not there
        _fill(new, folder)
        return
    old = new.with_name(f"{new.name}.old")
    try:
        os.rename(folder, old)
    except OSError:  # a place where a disk is mounted cannot be renamed
        _fill(new, folder)
        return
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    for path in [path for path in old.iterdir() if not is_of_model(path)]:
        os.rename(path, folder / path.name)
    shutil.rmtree(old)


def _fill(new, folder):
    """The same for a folder that cannot be renamed: run.json, which marks it as a model, is moved last."""
    (folder / "run.json").unlink(missing_ok=True)
    for path in [path for path in folder.iterdir() if is_of_model(path)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(new.iterdir(), key=lambda path: path.name == "run.json"):
        shutil.move(path, folder / path.name)


def model_files(folder):
    """Names of the files in a folder that a model would replace."""
    folder = Path(folder)
    found = [path.name for path in folder.iterdir() if is_of_model(path)] if folder.is_dir() else []
    return [name for name in found if name != "run.json"]


def is_of_model(path):
    """Whether a file or folder directly inside a model's folder is part of the model."""
    is_fold = path.match(_FOLDS)
    return path.name in _OURS or is_fold or (path.is_file() and path.stem == "encoder")


def write_model(folder, models, learnt, compression):
    """Write a model, or fold models, with the encoder and the list of slides that they were trained on.

    Parameters
    ----------
    folder : Path
        An empty folder.
    models : list of fitted estimators
    learnt : DataFrame
        Slides that they were trained on, from `slides_of`.
    compression : Compression or None
        How slides are compressed; None for models that were fitted on grid files.

    Returns
    -------
    str or None
        Name of the encoder's file; None without one.
    """
    import pandas as pd

    from sknic.encoders.catalog import encoder_path
    from sknic.encoders.foreign import Foreign

    names = ["model"] if len(models) == 1 else [f"fold_{number}" for number in range(len(models))]
    for name, model in zip(names, models):
        model.save(folder / f"{name}.safetensors")
    history = pd.concat([pd.DataFrame(model.history_).assign(fold=fold) for fold, model in enumerate(models)])
    learnt.to_csv(folder / "learnt_slides.csv", index=False, errors="surrogateescape")
    history.drop(columns=[] if len(models) > 1 else "fold").to_csv(folder / "history.csv", index=False)
    if compression is None:
        return None
    encoder = encoder_path(compression.encoder)
    kept = folder / f"encoder{encoder.suffix}"
    shutil.copyfile(encoder, kept)
    if (foreign := Foreign.parse(compression.encoder)) is None:
        return kept.name
    if foreign.settings_file.exists():
        shutil.copyfile(foreign.settings_file, folder / "encoder.json")
    return ":".join(filter(None, (foreign.tool, foreign.name, kept.name)))


def slides_of(paths, grids, patients=None):
    """Table that identifies slides: path, digest (if the grid has it), and patient.

    Parameters
    ----------
    paths : list of str
        Slides, or grid files.
    grids : sequence of Grid or None
        Their grids, in the same order; None for slides that cannot be used.
    patients : array of str, optional

    Returns
    -------
    DataFrame
        Columns "slide", "digest" and, with patients, "patient"; texts.
    """
    import pandas as pd

    table = pd.DataFrame(
        {"slide": [os.path.realpath(getattr(grid, "slide", None) or path) for path, grid in zip(paths, grids)]}
    )
    table["digest"] = ["" if grid is None else grid.header.slide_digest or "" for grid in grids]
    return table if patients is None else table.assign(patient=patients)


def read_slides(folder):
    """Slides that the model of a folder was trained on; None if not recorded, as in earlier versions."""
    import pandas as pd

    path = Path(folder) / "learnt_slides.csv"
    if not path.is_file():
        return None
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")


def networks_digest(folder):
    """One digest of the networks in a model folder, text: another training has another one."""
    from sknic.files.digests import digest_of

    files = sorted((*Path(folder).glob("model.safetensors"), *Path(folder).glob(_FOLDS)))
    return "-".join(digest_of(path)[:12] for path in files)


def load_model(folder):
    """Load the estimator and the settings of a model folder.

    Returns
    -------
    estimator : fitted estimator
        An ensemble if the folder has fold models.
    settings : dict
        As `sknic fit` or `sknic evaluate` recorded them.

    Raises
    ------
    ModelFileError
        If the folder was not written by `sknic fit` or `sknic evaluate --save-model`.
    """
    from sknic.estimators import load_estimator
    from sknic.evaluation import CrossValEnsemble

    folder = Path(folder)
    try:
        settings = read_json(folder / "run.json").get("settings")
        if not isinstance(settings, dict):
            raise ValueError("its run.json has no settings")
    except ValueError as error:
        raise ModelFileError(f"{folder} was not written by `sknic fit`: {error}") from None
    folds = sorted(folder.glob(_FOLDS), key=lambda path: int(path.stem.removeprefix("fold_")))
    if folds:
        return CrossValEnsemble.from_models([load_estimator(path) for path in folds]), settings
    if not (folder / "model.safetensors").is_file():
        raise ModelFileError(f"{folder} has no model.safetensors; `sknic evaluate --save-model` keeps models")
    return load_estimator(folder / "model.safetensors"), settings


def grids_of(folder):
    """Folder of a model's grids: its own, or that of the evaluation that saved its fold models."""
    own = Path(folder) / "grids"
    # The models of folds lie in the folder of their evaluation.
    run = own.parents[1] if any(own.parent.glob(_FOLDS)) else own.parent
    known = [own, run / "grids", *_recorded_grids(run)]
    return next((folder for folder in known if folder.is_dir()), own)


def _recorded_grids(run):
    """The folder of grids in the options of a run, if it has one."""
    try:
        grids = tomllib.loads((run / "options.toml").read_text(encoding="utf-8")).get("grids")
    except (OSError, ValueError):
        return
    if isinstance(grids, str) and os.access(grids, os.W_OK):  # grids of new slides are kept there, too
        yield Path(grids)


def compression_of(folder, settings):
    """How the training slides were compressed, with their um/px if stated; None if they were grid files."""
    from sknic.cli.settings import MASKS, Compression
    from sknic.encoders.foreign import Foreign

    if not settings.get("encoder"):
        return None
    given = settings.get("compression") or {name: settings.get(name) for name in MASKS}
    slide_mpp = given.get("slide_mpp")
    given = {name: value for name, value in given.items() if name not in ("encoder", "slide_mpp") and value is not None}
    foreign = Foreign.parse(settings["encoder"])
    return Compression(str(foreign.inside(folder) if foreign else Path(folder) / settings["encoder"]), given, slide_mpp)
