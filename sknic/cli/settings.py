"""How slides are compressed: like the existing grids or as the options say; compressing again is always announced."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from sknic.cli.common import write_run_record
from sknic.cli.grids import are_grid_files
from sknic.cli.inputs import table_of
from sknic.cli.options import DEFAULT_ENCODER
from sknic.cli.stated_mpp import mpp_by_slide, recorded_mpp
from sknic.files.records import read_json

# What SlideCompressor takes besides the encoder and where the tissue is.
NUMBERS = ("mpp", "patch_size", "stride", "min_tissue", "orientations", "precision")
MASKS = ("tissue", "classes", "exclude")
DEFAULTS: dict[str, Any] = {"tissue": "density"}
# Grids of a folder that are asked for their settings.
_N_ASKED = 20


@dataclass(frozen=True)
class Compression:
    """Everything that determines a grid: SlideCompressor's parameters, as values that JSON can store.

    Attributes
    ----------
    encoder : str
        Path or name of the encoder.
    given : dict
        Settings from the options, from a model, or from existing grids; all others have SlideCompressor's defaults.
    slide_mpp : float, dict of str to float, or None
        um/px of all slides, or of each slide by its path; None uses their metadata.
    """

    encoder: str
    given: dict[str, Any] = field(default_factory=dict)
    slide_mpp: Any = None

    def record(self):
        """The settings that run.json stores and `kept_settings` reads."""
        settings = {**dict.fromkeys((*NUMBERS, *MASKS)), **DEFAULTS, **self.given}
        return {**settings, "encoder": absolute(self.encoder), "slide_mpp": self.slide_mpp}

    @property
    def tissue(self):
        """The tissue mask as SlideCompressor takes it."""
        return tissue_option(*(self.given.get(name, DEFAULTS.get(name)) for name in MASKS))

    def compressor(self, grids, device="auto", n_jobs=1):
        """The SlideCompressor of these settings."""
        from sknic import SlideCompressor

        numbers = {name: self.given[name] for name in NUMBERS if self.given.get(name) is not None}
        return SlideCompressor(
            self.encoder,
            tissue=self.tissue,
            slide_mpp=self.slide_mpp,
            cache_dir=grids,
            device=device,
            n_jobs=n_jobs,
            verbose=1,
            **numbers,
        )


def tissue_option(tissue, classes=None, exclude=None):
    """--tissue, --classes and --exclude as SlideCompressor takes them."""
    from sknic.slides import Annotations

    if not classes and not exclude:
        return None if tissue == "none" else tissue
    return Annotations(tissue, tuple(classes) if classes else None, tuple(exclude or ()))


def absolute_masks(tissue, paths):
    """--tissue as a record names it: a pattern that fits from the working folder is read in other ones, too.

    Parameters
    ----------
    tissue : str or None
        --tissue.
    paths : list of str
        Slides.

    Returns
    -------
    str or None
        The whole pattern if the masks are in the working folder, and not beside the slides.
    """
    from sknic.slides.mask_files import is_pattern

    if tissue is None or not is_pattern(tissue) or os.path.isabs(tissue):
        return tissue
    names = [tissue.replace("{stem}", Path(path).stem) for path in paths]
    beside = any((Path(path).parent / name).exists() for path, name in zip(paths, names))
    return os.path.abspath(tissue) if not beside and any(map(os.path.exists, names)) else tissue


def slide_mpp_option(value, tables, path_column):
    """--slide-mpp as SlideCompressor takes it: None, a number, or the column of that name of the tables."""
    from sknic.compression.slide_mpp import state
    from sknic.datasets.table import MISSING, slide_paths
    from sknic.targets.cells import numbers_of

    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    if not tables:
        raise typer.BadParameter(f"--slide-mpp {value} is neither a number nor a column: no table was given")
    mpp_of = {}
    for table in tables:
        frame = table_of(table, [path_column, value])
        # Whole paths, because a record of them is read in other folders.
        paths = map(os.path.abspath, slide_paths(frame, path_column, table))
        # An empty cell leaves the um/px to the slide's own metadata.
        is_stated = ~frame[value].isin(MISSING)
        numbers = iter(numbers_of(frame[is_stated], value))
        try:
            for path, stated in zip(paths, is_stated):
                state(mpp_of, path, next(numbers) if stated else None)
        except ValueError as error:
            raise typer.BadParameter(f"{table}, column {value!r}: {error}") from error
    return mpp_of


def kept_settings(folder):
    """Settings of the grids in a folder: from its run record, or else what their headers agree on.

    Returns
    -------
    dict
        Empty if there are no grids; without "tissue" if only the headers are available.
    """
    headers = _headers(folder)
    if not headers:
        return {}
    record = recorded_settings(folder)
    if record is not None:
        return {**record, "fingerprint": headers[0]["fingerprint"]}
    agreed = {name: {header[name] for header in headers} for name in headers[0]}
    return {name: values.pop() for name, values in agreed.items() if len(values) == 1}


def choose(paths, encoder, options, folder, slide_mpp=None, default=DEFAULT_ENCODER):
    """Decide how to compress: by the given options first, then as the grids in the folder were; print the decision.

    Parameters
    ----------
    paths : list of str
        Slides, or grid files.
    encoder : str or None
        --encoder.
    options : dict
        --tissue, --classes and --exclude; None for those that were not given.
    folder : Path
        Folder of grids, which need not exist.
    slide_mpp : float or dict of str to float, optional
        --slide-mpp.
    default : str, optional
        Encoder to use if neither --encoder nor the folder names one.

    Returns
    -------
    Compression or None
        None if the paths are grid files, or if no encoder is known.
    """
    if are_grid_files(paths):
        return None
    kept = kept_settings(folder)
    given = {name: value for name, value in options.items() if value not in (None, [], ())}
    if "tissue" in given:
        given["tissue"] = absolute_masks(given["tissue"], paths)
    # Where the tissue is, is one decision of up to three options.
    settings = {name: value for name, value in kept.items() if not (given and name in MASKS)} | given
    known = settings.pop("encoder", None)
    fingerprint = settings.pop("fingerprint", None)
    recorded = settings.pop("slide_mpp", None)
    slide_mpp = recorded_mpp(recorded, paths, folder) if slide_mpp is None else mpp_by_slide(slide_mpp, paths)
    encoder = str(encoder) if encoder else _encoder_of_grids(known, folder)
    if encoder is None and default is not None:
        encoder = _default_encoder(default, fingerprint, folder)
    if encoder is None:
        return None
    compression = Compression(encoder, settings, slide_mpp)
    say(compression, kept, folder)
    return compression


def keep_record(folder, command, compression):
    """Record in a folder of grids how they were made, unless a record of compression is there."""
    if compression is not None and Path(folder).is_dir() and not (Path(folder) / "run.json").exists():
        try:
            write_run_record(folder, command, compression.record())
        except OSError as error:  # grids that are only read serve as well
            typer.secho(f"warning: {folder}/run.json is not written: {error.strerror or error}", err=True)


def _encoder_of_grids(known, folder):
    """The encoder that a run record names, if it still exists."""
    if known is None or _there(known):
        return known
    raise typer.BadParameter(
        f"the grids in {folder} were made with the encoder {known}, which no longer exists; give --encoder"
    )


def _default_encoder(default, fingerprint, folder):
    """The default, unless the existing grids were made with another encoder whose name is unknown."""
    if fingerprint and fingerprint != fingerprint_of(default):
        raise typer.BadParameter(
            f"the grids in {folder} were made with an encoder other than {default}, and no run.json names it; give "
            "--encoder"
        )
    return default


def say(compression, kept, folder):
    """Print whether the existing grids are used, or why the slides are compressed again; nothing without grids.

    Parameters
    ----------
    compression : Compression
        How slides are compressed now.
    kept : dict
        `kept_settings` of the folder.
    folder : Path
        Folder of grids.
    """
    if not kept:
        return
    wanted, had = (_filled(settings, compression.encoder) for settings in (compression.given, kept))
    changed = [
        f"{name}={had[name]}, not {wanted[name]}"
        for name in (*NUMBERS, *MASKS)
        if name in kept and had[name] != wanted[name]
    ]
    if kept.get("fingerprint") and fingerprint_of(compression.encoder) != kept["fingerprint"]:
        changed.append(f"an encoder other than {compression.encoder}")
    if changed:
        typer.echo(f"{folder}: its grids have {'; '.join(changed)}: the slides are compressed again")
        return
    shown = [f"{name}={kept[name]}" for name in (*NUMBERS, *MASKS) if kept.get(name) is not None]
    unknown = "" if "tissue" in kept else f"; their tissue option is not recorded, tissue={wanted['tissue']} is used"
    typer.echo(f"{folder}: settings of the existing grids: {', '.join(shown)}{unknown}")


def _filled(settings, encoder):
    """Settings of `NUMBERS` and `MASKS` with what SlideCompressor uses in place of those that are not given."""
    from inspect import signature

    from sknic import SlideCompressor
    from sknic.compression.inputs import resolve_encoder

    parameters, known = signature(SlideCompressor).parameters, resolve_encoder(encoder)
    given = {name: value for name, value in settings.items() if value not in (None, [], ())}
    patch_size = given.get("patch_size", known.patch_size)
    default = {**dict.fromkeys(MASKS), **{name: parameters[name].default for name in NUMBERS}, **DEFAULTS}
    return default | {"mpp": known.mpp, "patch_size": patch_size, "stride": patch_size} | given


def fingerprint_of(encoder):
    """Fingerprint of an encoder that is given by name or by file, as grids record it.

    Parameters
    ----------
    encoder : str or Path

    Returns
    -------
    str
    """
    from sknic.compression.inputs import resolve_encoder

    return resolve_encoder(encoder).fingerprint()


def _there(encoder):
    from sknic.encoders.catalog import encoder_path
    from sknic.exceptions import EncoderNotFoundError

    try:
        return encoder_path(encoder).is_file()
    except EncoderNotFoundError:
        return False


def absolute(encoder):
    """The encoder as a record names it: the whole path of a file, or the name of a bundled one."""
    from sknic.encoders.catalog import bundled_names
    from sknic.encoders.foreign import Foreign

    if (foreign := Foreign.parse(encoder)) is not None:
        return str(foreign)
    return str(encoder) if str(encoder) in bundled_names() else str(Path(encoder).resolve())


def recorded_settings(folder):
    """The compression settings in a folder's run.json; None if it has none."""
    path = Path(folder) / "run.json"
    if not path.exists():
        return None
    try:
        settings = read_json(path).get("settings")
    except ValueError as error:
        raise typer.BadParameter(
            f"{error}; it says how the grids beside it were made. Restore it, or delete it and give --encoder and "
            "--tissue as they were"
        ) from None
    settings = settings.get("compression", settings) if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or not {*NUMBERS, *MASKS, "encoder"} <= settings.keys():
        return None
    return {name: settings.get(name) for name in (*NUMBERS, *MASKS, "encoder", "slide_mpp")}


def _headers(folder):
    """Headers of some grids in a folder."""
    from sknic import Grid
    from sknic.exceptions import GridFileError

    found = []
    for path in sorted(Path(folder).glob("*.h5")):
        try:
            grid = Grid.read(path)
        except GridFileError:
            continue
        found.append({name: getattr(grid, name) for name in ("mpp", "patch_size", "stride", "fingerprint")})
        if len(found) == _N_ASKED:
            break
    return found
