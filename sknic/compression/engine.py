"""One slide to one grid: bands of the lattice, threads that read and encode them, one device."""

import os
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch

from sknic.exceptions import DamagedLevelWarning, SknicError
from sknic.grids import Grid, orient
from sknic.grids.embeddings import finite_embeddings
from sknic.slides import Lattice, PatchReader, Slide, is_background, tissue_mask

# Cells of one band: large enough that every tile is decoded about once, small enough for a few MB of pixels a thread.
BAND_CELLS = 256
SMALLEST_BAND = 16
BANDS_AT_LEAST = 24
# Half precision is held against float32 on this many patches of each slide; the largest relative error that passes.
N_CHECKED = 64
LARGEST_ERROR = 1e-2


def compress_slide(path, encoder, recipe, *, device="cpu", batch_size=None):
    """Compress one slide (paper, Fig. 1), with as many threads as torch uses, which joblib sets in its workers.

    Parameters
    ----------
    path : str
    encoder : object with `transform(patches)` and, for speed, `embedder(device, precision)`
    recipe : Recipe
    device : str
        "cpu": every thread reads a band and encodes it. Otherwise threads read and one device encodes.
    batch_size : int, optional
        Patches encoded at once on a device other than the CPU; 1024 by default.

    Returns
    -------
    Grid
        In memory.
    """
    with Slide(path, mpp=recipe.mpp_of(path)) as slide, warnings.catch_warnings():
        # The grid remembers it, and whoever asked for the grid is told once, also if a worker made it.
        warnings.simplefilter("ignore", DamagedLevelWarning)
        lattice = lattice_of(slide, recipe)
        cells = tissue_cells(slide, lattice, recipe)
        bands = list(lattice.bands(cells, _band_cells(len(cells))))
        read = _reader(PatchReader(slide, lattice), drop_background=recipe.tissue is None)
        embed = _embedder(encoder, device, recipe)
        n_threads = torch.get_num_threads()
        if device == "cpu":
            parts = _read_and_encode(bands, read, embed, n_threads)
        else:
            parts = _read_then_encode(bands, read, embed, n_threads, batch_size or 1024)
        return _grid(path, slide, lattice, parts, recipe, encoder)


def lattice_of(slide, recipe):
    """The patches of a slide."""
    return Lattice.of(slide, mpp=recipe.mpp, patch_size=recipe.patch_size, stride=recipe.stride)


def tissue_cells(slide, lattice, recipe):
    """Cells to read: those whose mask mean exceeds `min_tissue`, or all cells without a mask; int32 (n, 2)."""
    mask = tissue_mask(slide, recipe.tissue)
    if mask is None:
        return np.argwhere(np.ones(lattice.shape, bool)).astype(np.int32)
    return np.argwhere(mask.coverage(lattice) > recipe.min_tissue).astype(np.int32)


def _band_cells(n_cells):
    """Small slides are cut into smaller bands, so that no thread waits long for another one's last band."""
    return min(BAND_CELLS, max(SMALLEST_BAND, n_cells // BANDS_AT_LEAST))


def _reader(reader, drop_background):
    def read(cells):
        patches = reader.read(cells)
        if drop_background:
            tissue = ~is_background(patches)
            cells, patches = cells[tissue], patches[tissue]
        return cells, patches

    return read


def _embedder(encoder, device, recipe):
    """Function from patches to embeddings (orientations, n, C), float16, or float32 if float16 overflows."""
    embed = _checked(encoder, device, recipe.precision) if recipe.precision != "float32" else _full(encoder, device)

    def embed_orientations(patches):
        versions = (np.ascontiguousarray(orient(patches, k, axes=(1, 2))) for k in range(recipe.orientations))
        embeddings = np.stack([np.asarray(embed(version)) for version in versions])
        try:
            return finite_embeddings("the encoder's output", embeddings)
        except ValueError as error:
            raise SknicError(str(error)) from error

    return embed_orientations


def _full(encoder, device):
    return encoder.embedder(device=device) if hasattr(encoder, "embedder") else encoder.transform


def _checked(encoder, device, precision):
    """An embedder with 16-bit precision, compared with float32 on the first patches that it gets."""
    if not hasattr(encoder, "embedder"):
        raise SknicError(f"precision={precision!r}: this encoder has only transform, whose precision cannot be set")
    embed, full, checked = encoder.embedder(device=device, precision=precision), _full(encoder, device), []

    def checking(patches):
        embeddings = embed(patches)
        if not checked and len(patches):
            checked.append(_check_precision(embeddings[:N_CHECKED], full(patches[:N_CHECKED]), precision))
        return embeddings

    return checking


def _check_precision(embeddings, exact, precision):
    error = np.linalg.norm(embeddings - exact) / max(np.linalg.norm(exact), 1e-12)
    if not error <= LARGEST_ERROR:
        raise SknicError(f"precision={precision!r} changes the embeddings by {error:.2%}; use 'float32'")
    return error


def _read_and_encode(bands, read, embed, n_threads):
    """On the CPU each thread both reads and encodes, so that nothing is handed over and nothing waits."""

    def work(band):
        torch.set_num_threads(1)
        cells, patches = read(band)
        return (cells, embed(patches)) if len(cells) else None

    with _own_torch_threads():
        return [part for part in in_order(work, bands, n_threads) if part is not None]


def _read_then_encode(bands, read, embed, n_threads, batch_size):
    """Threads decode ahead while this thread keeps one device busy with large batches."""
    parts, waiting, n_waiting = [], [], 0
    for cells, patches in in_order(read, bands, n_threads):
        waiting.append((cells, patches))
        n_waiting += len(cells)
        if n_waiting >= batch_size:
            parts.append(_encode_batch(waiting, embed))
            waiting, n_waiting = [], 0
    if n_waiting:
        parts.append(_encode_batch(waiting, embed))
    return parts


def _encode_batch(waiting, embed):
    cells, patches = (np.concatenate(arrays) for arrays in zip(*waiting))
    return cells, embed(patches)


def in_order(function, items, n_threads):
    """Results in order, with at most two per thread waiting for the consumer, so that memory use stays constant."""
    items = iter(items)
    with ThreadPoolExecutor(n_threads) as pool:
        pending = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= 2 * n_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def _own_torch_threads():
    """`torch.set_num_threads` in a thread affects the whole process; restore the caller's value."""
    n_threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _code_size(encoder, recipe):
    """C of an encoder, which may be any object with `transform`."""
    if hasattr(encoder, "code_size"):
        return encoder.code_size
    return encoder.transform(np.full((1, recipe.patch_size, recipe.patch_size, 3), 255, np.uint8)).shape[1]


def _grid(path, slide, lattice, parts, recipe, encoder):
    if parts:
        cells = np.concatenate([cells for cells, _ in parts])
        embeddings = np.concatenate([embeddings for _, embeddings in parts], axis=1)
        order = np.lexsort((cells[:, 1], cells[:, 0]))
        cells, embeddings = cells[order], embeddings[:, order]
    else:
        cells = np.empty((0, 2), np.int32)
        embeddings = np.empty((recipe.orientations, 0, _code_size(encoder, recipe)), np.float16)
    n_lattice = lattice.shape[0] * lattice.shape[1]
    return Grid(
        embeddings[0],
        cells,
        lattice.shape,
        mpp=recipe.mpp,
        patch_size=recipe.patch_size,
        stride=recipe.stride,
        slide=os.path.abspath(path),  # a relative path means nothing from another folder
        slide_mpp=slide.mpp,
        slide_size=slide.level_dimensions[0],
        slide_digest=slide.digest,
        precision=recipe.precision,
        damage=slide.damage,
        origin=slide.origin,
        bounds=slide.origin,
        fingerprint=encoder.fingerprint(),
        tissue_fraction=len(cells) / n_lattice if n_lattice else 0.0,
        oriented_embeddings=embeddings[1:] if recipe.orientations > 1 else None,
    )
