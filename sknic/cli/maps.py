"""What `sknic explain` writes: a picture and cells for QuPath per slide, and a gallery of cells of all slides."""

import os
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from textwrap import wrap

import typer

from sknic.cli.common import command_of
from sknic.files.names import unique_names
from sknic.files.records import read_json

# What is written for each slide.
_KINDS = (".png", ".ome.tiff", ".top.geojson", ".geojson")
# Letters that the picture's width holds.
_LINE = 85


def write_map(stem, grid, heat, method, title, *, top, ome_tiff):
    """Picture and cells of one slide.

    Parameters
    ----------
    stem : Path
        Path of the files without suffix.
    grid : Grid
    heat : float array (rows, columns)
    method : str
        Name of the measurement.
    title : str
        Title of the picture.
    top : int
        Number of most salient cells to write as annotations.
    ome_tiff : bool
        Whether the overlay is also written at full resolution.
    """
    from sknic.exceptions import MissingMppError
    from sknic.plotting import write_overlay
    from sknic.slides import Slide

    here = grid.slide and Path(grid.slide).exists()
    with Slide(grid.slide, mpp=grid.slide_mpp) if here else nullcontext() as slide:
        _draw(f"{stem}.png", grid, heat, slide, method, title)
        try:
            _write_cells(stem, grid, heat, method, slide, top)
        except MissingMppError as error:
            typer.echo(f"no GeoJSON for {title.split(': ')[0]}: {error}")
        if ome_tiff and slide is None:
            typer.echo(f"no OME-TIFF for {title.split(': ')[0]}: its slide was moved or deleted")
        elif ome_tiff:
            write_overlay(f"{stem}.ome.tiff", slide, heat, grid)


def names_of_maps(out, paths):
    """Name the maps of each slide: as earlier runs did in this folder, and never like those of another slide.

    Parameters
    ----------
    out : Path
        Folder; it need not exist.
    paths : list of str
        Slides that are explained.

    Returns
    -------
    dict of str to str
        Name of the files of each slide, without suffix.
    """
    known = {slide: name for name, slide in _maps_of(_earlier(out)).items() if slide}
    here = {path: os.path.abspath(path) for path in paths}
    fresh, taken = unique_names([*known, *here.values()]), set(known.values())
    for slide in dict.fromkeys(here.values()):
        if slide not in known:
            # A name that was short when it was chosen may be the longer one of another slide.
            names = (fresh[slide], *(f"{fresh[slide]}-{number}" for number in range(1, len(taken) + 1)))
            known[slide] = next(name for name in names if name not in taken)
            taken.add(known[slide])
    return {path: known[slide] for path, slide in here.items()}


def _earlier(out):
    """Record of the earlier `explain` in a folder; empty without one."""
    return read_json(out / "run.json") if command_of(out) == "explain" else {}


def _maps_of(record):
    """Name and slide of the maps that a record lists; records of before have names alone."""
    maps = record.get("maps", {})
    return maps if isinstance(maps, dict) else dict.fromkeys(maps)


def need_own_maps(out, names):
    """Refuse a folder in which maps would replace each other or files of the user, or be taken for slides.

    Parameters
    ----------
    out : Path
        Folder; it need not exist.
    names : dict of str to str
        Name of the files of each slide that is explained, without suffix.
    """
    inside = [path for path in names if Path(path).resolve().parent == out.resolve()]
    if inside:
        raise typer.BadParameter(f"--out {out} is the folder of the slide {inside[0]}; choose another folder for maps")
    stems = set(names.values())
    of_gallery = sorted(stem for stem in stems if stem == "gallery" or stem.startswith("gallery-"))
    if of_gallery:
        raise typer.BadParameter(
            f"the map of {of_gallery[0]} would be called like a gallery, which every run replaces; give the slide "
            "another name"
        )
    earlier = _earlier(out)
    files = Counter(f"{stem}{kind}" for stem in stems | set(_maps_of(earlier)) for kind in _KINDS)
    twice = [name for name, count in files.items() if count > 1]
    if twice:
        raise typer.BadParameter(
            f"{twice[0]} would be written for two slides; give one of them another name, or choose another folder"
        )
    if earlier:
        return
    there = [path for name in files if (path := out / name).exists()]
    if there:
        raise typer.BadParameter(
            f"--out {out} contains {there[0].name!r}, which `sknic explain` did not write and would replace; choose "
            "another folder"
        )


def clear_maps(out, names, settings):
    """Remove what an earlier `explain` has written for these slides, and for all if it had another model or question.

    Parameters
    ----------
    out : Path
        Folder.
    names : dict of str to str
        Name of the files of each slide, without suffix.
    settings : dict
        Model and question, as the run record has them.

    Returns
    -------
    dict of str to str
        Name and slide of the other maps, which are kept.
    """
    earlier, stems = _earlier(out), set(names.values())
    if not earlier:
        return {}
    had = earlier.get("settings", {})
    others = {name: slide for name, slide in _maps_of(earlier).items() if name not in stems}
    is_same = all(str(had.get(name)) == str(settings[name]) for name in ("model", "networks", "method", "class"))
    kept = others if is_same else {}
    gone = stems if is_same else [*stems, *others]
    galleries = (out / "gallery.png", *out.glob("gallery-*.png"))
    for path in (*(out / f"{stem}{kind}" for stem in gone for kind in _KINDS), *galleries):
        path.unlink(missing_ok=True)
    return kept


def write_gallery(out, grids, make_map, classes, n, max_per_slide):
    """Draw the most and the least convincing cells of all slides, one picture per class.

    Parameters
    ----------
    out : Path
        Folder.
    grids : list of Grid
        Grids; those whose slide is gone are left out.
    make_map : callable (grid, label) -> float array (rows, columns)
    classes : sequence
        Labels to explain; None for a model without classes.
    n : int
        Number of cells of each sort.
    max_per_slide : int or None
        Maximum number of cells per slide.
    """
    from sknic.files.names import names_of_labels
    from sknic.plotting import PatchGalleryDisplay
    from sknic.saliency import rank_cells

    shown = [grid for grid in grids if grid.slide and Path(grid.slide).exists()]
    if not shown:
        typer.echo("no gallery: " + ("all slides were moved or deleted" if grids else "no slide has a map"))
        return
    for label, name in zip(classes, names_of_labels(classes)):
        maps = [make_map(grid, label) for grid in shown]
        ranked = {
            f"{sort} convincing": rank_cells(shown, maps, n, lowest=lowest, max_per_slide=max_per_slide)
            for sort, lowest in (("Most", False), ("Least", True))
        }
        what, file = ("", "gallery.png") if label is None else (f" for {label}", f"gallery-{name}.png")
        _draw_gallery(out / file, PatchGalleryDisplay, ranked, shown, f"Cells of {len(shown)} slides: saliency{what}")


def _draw_gallery(path, display, ranked, grids, title):
    import matplotlib.pyplot as plt

    with plt.rc_context({"backend": "agg"}):
        figure = display.from_cells(ranked, grids, title=title).figure_
        figure.savefig(path, dpi=150)
        plt.close(figure)
    typer.echo(f"wrote {path}")


def _write_cells(stem, grid, heat, method, slide, top):
    from sknic.saliency import rank_cells

    grid.to_geojson({method: heat}, f"{stem}.geojson", slide=slide)
    if top:
        position = {tuple(cell): index for index, cell in enumerate(grid.cells.tolist())}
        rows = [position[cell.row, cell.column] for cell in rank_cells([grid], [heat], top)]
        grid.to_geojson({method: heat}, f"{stem}.top.geojson", slide=slide, annotate={"most salient": rows})


def _draw(path, grid, heat, slide, method, title):
    import matplotlib.pyplot as plt

    from sknic.plotting import SaliencyDisplay

    with plt.rc_context({"backend": "agg"}):
        figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
        SaliencyDisplay.from_grid(grid, heat, slide=slide, ax=ax, title=f"Saliency: {method}", max_size=2048)
        figure.suptitle("\n".join(wrap(title, _LINE)), x=0.02, ha="left", fontsize="medium")
        figure.savefig(path, dpi=200)
        plt.close(figure)
