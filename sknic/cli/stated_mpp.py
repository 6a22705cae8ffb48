"""um/px that --slide-mpp states, as records keep it: by slide, because it does not hold for slides of other runs."""

import os

import typer


def mpp_by_slide(slide_mpp, paths, earlier=None):
    """What --slide-mpp states of each slide, for a record: it does not hold for slides of other runs.

    Parameters
    ----------
    slide_mpp : float, dict of str to float, or None
        --slide-mpp as `slide_mpp_option` returns it.
    paths : list of str
        Slides of this run.
    earlier : dict of str to float or None, optional
        What a record states of further slides; a number in an older record names none and is not taken.

    Returns
    -------
    dict of str to float or None, or None
        By absolute path; None for a slide leaves it to its metadata. None if nothing is stated.
    """
    stated = dict(earlier) if isinstance(earlier, dict) else {}
    now = slide_mpp if isinstance(slide_mpp, dict) else dict.fromkeys(paths, slide_mpp)
    stated |= {os.path.abspath(path): mpp for path, mpp in now.items()}
    return stated if any(mpp is not None for mpp in stated.values()) else None


def recorded_mpp(slide_mpp, paths, folder):
    """The um/px that a record states, for paths that may be written differently; slides it does not name are told of.

    Parameters
    ----------
    slide_mpp : float, dict of str to float, or None
        --slide-mpp as `Compression.record` has it.
    paths : list of str
        Slides.
    folder : Path
        Folder of the record, for the message.

    Returns
    -------
    float, dict of str to float or None, or None
    """
    if slide_mpp is None:
        return None
    if not isinstance(slide_mpp, dict):  # of a record that does not name its slides
        typer.echo(f"{folder}: {slide_mpp:g} um/px, stated with --slide-mpp, is taken for all slides; give it if not")
        return slide_mpp
    stated = {os.path.realpath(path): mpp for path, mpp in slide_mpp.items()}
    real = {path: os.path.realpath(path) for path in paths}
    new = [path for path in paths if real[path] not in stated]
    if new:
        typer.echo(
            f"{folder}: --slide-mpp stated the um/px of its slides, but not of {len(new)} here, such as {new[0]}: "
            "theirs are read from the files; give --slide-mpp if those are wrong"
        )
    return {path: stated.get(real[path]) for path in paths}
