"""Reads the feature files of TRIDENT and CLAM as grids."""

import numpy as np

from sknic.exceptions import GridFileError, SknicWarning, warn
from sknic.grids.embeddings import finite_embeddings
from sknic.grids.header import GridHeader

# Attributes that are numbers; those that a patch or a slide cannot have as 0; more px than any slide has.
_SIZES = {"patch_size", "patch_size_level0", "level0_width", "level0_height"}
_NUMBERS = {*_SIZES, "overlap", "target_magnification", "level0_magnification"}
_FARTHEST = 2.0**31


def read_foreign(path, file, mpp=None):
    """Place the patches of a foreign feature file on a lattice.

    Parameters
    ----------
    path : str
        Path for error messages.
    file : h5py.File
        With `features (n, C)` or `(1, n, C)` and `coords (n, 2)`, level-0 pixels.
    mpp : float, optional
        um/px of the patches; by default 10 / `target_magnification`, if TRIDENT wrote it.

    Returns
    -------
    header : GridHeader
    features : float16 (n, C)
        float32 if float16 overflows.
    cells : int32 (n, 2)
    """
    features, coords, attributes = _read_datasets(path, file)
    patch_size = int(attributes.get("patch_size", 0)) or None
    known_size = _patch_size_level0(path, attributes, coords, patch_size)
    # A single patch of unknown size is a grid of one cell that does not say how large it is.
    patch_size_level0 = known_size or 1.0
    overlap = attributes.get("overlap", 0) * patch_size_level0 / (patch_size or patch_size_level0)
    stride_level0 = min(patch_size_level0 - overlap, _common_step(coords, share=0.5) or np.inf)
    if known_size is None:
        cells, kept, origin = np.zeros((1, 2), np.int32), np.array([0]), tuple(coords[0].tolist())
    else:
        stride_level0 = _true_stride(coords, stride_level0)
        cells, kept, origin = _snap(coords, stride_level0)
    if len(kept) < len(coords):
        warn(
            f"{path}: {len(coords) - len(kept)} of {len(coords)} patches fall on a cell that already has one "
            "(several contours with lattices of their own); the nearest patch of each cell was kept",
            SknicWarning,
        )
    mpp = mpp or _mpp(attributes)
    header = GridHeader(
        shape=(1, 1) if known_size is None else _shape(attributes, cells, stride_level0),
        mpp=mpp,
        patch_size=known_size and (patch_size or round(known_size)),
        stride=known_size and round(stride_level0 * (patch_size or known_size) / known_size),
        slide=str(attributes["name"]) if "name" in attributes else None,
        slide_mpp=_slide_mpp(attributes, mpp, patch_size, patch_size_level0),
        origin=origin,
        fingerprint=str(_plain(file["features"].attrs.get("encoder", ""))) or None,
        # What the file says in level-0 px is the truth of a place; its um/px is what the scanner's power suggests.
        patch_size_level0=known_size,
        stride_level0=known_size and stride_level0,
        bounds=(0, 0),
        slide_size=_slide_size(attributes),
    )
    try:
        return header, finite_embeddings(path, features[kept]), cells
    except ValueError as error:
        raise GridFileError(str(error)) from error


def _read_datasets(path, file):
    if "features" not in file or "coords" not in file:
        raise GridFileError(f"{path} has no `features` and `coords`: it was not written by sknic, TRIDENT or CLAM")
    try:
        features, coords = np.asarray(file["features"]), np.asarray(file["coords"])
    except (OSError, TypeError, ValueError, MemoryError) as error:
        raise GridFileError(f"{path} is damaged: its features or coords cannot be read") from error
    if features.dtype.kind in "iu" and features.dtype.itemsize in (2, 4):
        bits = {2: "bfloat16", 4: "float32"}[features.dtype.itemsize]
        raise GridFileError(
            f"{path}: features of dtype {features.dtype}: expected float16 or float32; these may be the bits of {bits}"
        )
    features, coords = (each[0] if each.ndim == 3 and each.shape[0] == 1 else each for each in (features, coords))
    if (
        features.ndim != 2
        or coords.shape != (len(features), 2)
        or not {*features.dtype.kind, *coords.dtype.kind} <= {*"fiu"}
    ):
        raise GridFileError(
            f"{path}: features {features.shape} and coords {coords.shape} should be (n, C) and (n, 2) numbers"
        )
    if not features.shape[1]:
        raise GridFileError(f"{path}: features without numbers, {features.shape}: expected (n, C)")
    empty = np.flatnonzero(~features.any(axis=1))
    if len(empty):  # what HDF5 returns for rows that were never written
        raise GridFileError(
            f"{path}: {len(empty)} of {len(features)} features are all zero, such as row {empty[0]}: expected the "
            "embedding of a patch in each row; was the extraction interrupted?"
        )
    wrong = np.flatnonzero(~(np.abs(coords.astype(float)) < _FARTHEST).all(axis=1))
    if len(wrong):
        raise GridFileError(f"{path}: coords of row {wrong[0]} are {coords[wrong[0]].tolist()}: expected level-0 px")
    attributes = _attributes(path, file)
    _check_inside(path, coords, _slide_size(attributes))
    return features, np.rint(coords).astype(np.int64), attributes


def _check_inside(path, coords, size):
    if size is None or not len(coords):
        return
    (x, y), (width, height) = coords.max(0), size
    if coords.min() < 0:
        raise GridFileError(f"{path}: coords reach {coords.min():.0f}: expected level-0 px on the slide, from 0")
    if x >= width or y >= height:
        hint = "; they look like row before column" if x < height and y < width else ""
        raise GridFileError(
            f"{path}: coords reach x={x:.0f}, y={y:.0f} on a slide of {width} x {height} level-0 px{hint}: "
            "expected x before y in level-0 px"
        )


def _attributes(path, file):
    """What a file states about its patches: text for names, and finite numbers for numbers."""
    attributes = {name: _plain(value) for name, value in {**file.attrs, **file["coords"].attrs}.items()}
    for name in attributes.keys() & _NUMBERS:
        try:
            number = float(str(attributes[name]).strip().rstrip("xX"))  # some write 20x
        except ValueError:
            number = np.nan
        # 0 stands for what is not known, but a patch has a size; patches with gaps between them overlap by less than 0.
        lowest = {"overlap": -_FARTHEST}.get(name, 1e-9 if name in _SIZES else 0)
        if not lowest <= number < _FARTHEST:
            raise GridFileError(f"{path}: {name}={attributes[name]}: expected a positive number")
        attributes[name] = number
    if attributes.get("overlap", 0) >= attributes.get("patch_size", np.inf):
        raise GridFileError(f"{path}: overlap={attributes['overlap']:g}: expected less than the patch size")
    return attributes


def _plain(value):
    """An attribute, converted to a scalar if it is an array of one, and to text if it is bytes."""
    value = np.ravel(value)[0] if np.size(value) == 1 else value
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _patch_size_level0(path, attributes, coords, patch_size):
    if "patch_size_level0" in attributes:
        return attributes["patch_size_level0"]
    if patch_size and "downsample" in attributes:
        return patch_size * float(np.ravel(attributes["downsample"])[0])
    # CLAM's feature files carry no attributes: neighbors in a row or in a column are one patch apart.
    step = _common_step(coords)
    if step is None and len(coords) != 1:
        raise GridFileError(f"{path} does not state its patch size, and its coords do not show it")
    return step


def _common_step(coords, share=0.0):
    """Distance shared by more than a `share` of the neighbors in a row or column, or None.

    CLAM does not record that patches overlap.
    """
    steps = np.concatenate([_steps(coords, 0), _steps(coords, 1)])
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    common = len(values) > 0 and counts.max() > share * counts.sum()
    return float(values[counts.argmax()]) if common else None


def _steps(coords, axis):
    """Distances along `axis` between neighbors that agree on the other axis."""
    order = np.lexsort((coords[:, axis], coords[:, 1 - axis]))
    steps = np.diff(coords[order], axis=0)
    return steps[steps[:, 1 - axis] == 0, axis]


def _snap(coords, stride):
    """Cells (row, column), the index of the patch kept for each, and the level-0 origin of the lattice."""
    if not len(coords):
        return np.empty((0, 2), np.int32), np.empty(0, np.int64), (0, 0)
    origin = [_common_phase(coords[:, axis], stride) for axis in (0, 1)]
    places = (coords - origin) / stride
    cells = np.rint(places).astype(np.int32)
    distance = np.abs(places - cells).sum(1)
    order = np.lexsort((distance, cells[:, 0], cells[:, 1]))
    _, first = np.unique(cells[order][:, ::-1], axis=0, return_index=True)
    kept = order[first]
    shift = np.minimum(cells[kept].min(0), 0)
    origin = tuple(int(round(o + s * stride)) for o, s in zip(origin, shift))
    return np.ascontiguousarray((cells[kept] - shift)[:, ::-1]), kept, origin


def _true_stride(coords, stride):
    """The stride before rounding: a scanner at 0.2528 um/px has 517.36 px, while the file says 517."""
    if not len(coords):
        return stride
    steps = np.concatenate([_steps(coords, 0), _steps(coords, 1)])
    near = steps[np.abs(steps - stride) <= 1]
    best = near.mean() if len(near) else stride
    for _ in range(2):  # a better stride finds better cells
        cells = np.rint((coords - coords.min(0)) / best)
        centered = cells - cells.mean(0)
        if not centered.any():
            return stride
        best = float((centered * coords).sum() / (centered**2).sum())  # one slope for both axes
    residual = np.ptp(coords - cells * best, axis=0).max()
    # Some round the size of a patch, others cut it off.
    return best if 1e-3 < abs(best - stride) < 1 and residual <= 2 else stride


def _common_phase(values, stride):
    phases, counts = np.unique(np.round(values % stride), return_counts=True)
    return int(phases[counts.argmax()])


def _shape(attributes, cells, stride):
    extent = cells.max(0) + 1 if len(cells) else np.zeros(2, int)
    size = _slide_size(attributes)
    if size:
        extent = np.maximum(extent, np.array(size[::-1]) // stride).astype(int)
    return int(extent[0]), int(extent[1])


def _slide_size(attributes):
    if "level0_height" not in attributes or "level0_width" not in attributes:
        return None
    return int(attributes["level0_width"]), int(attributes["level0_height"])


def _mpp(attributes):
    magnification = attributes.get("target_magnification", 0)
    return 10.0 / magnification if magnification else None


def _slide_mpp(attributes, mpp, patch_size, patch_size_level0):
    if mpp and patch_size:
        return mpp * patch_size / patch_size_level0
    magnification = attributes.get("level0_magnification", 0)
    return 10.0 / magnification if magnification else None
