"""SlideCompressor: paths of slides in, grids out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sknic.compression.cohort import compress_cohort, plan_cohort
from sknic.compression.recipe import Recipe
from sknic.learning.device import resolve_device
from sknic.slides import Annotations


class SlideCompressor(TransformerMixin, BaseEstimator):
    """Compress whole-slide images to grids of embeddings (neural image compression, paper Fig. 1).

    Parameters
    ----------
    encoder : fitted encoder, str or Path
        Anything with `transform(patches)` and `fingerprint()`, plain or inside a `FrozenEstimator`; a path is read by
        `load_encoder`. It is never fitted here, and `clone` keeps it as it is.
    mpp : float, optional
        um per px at which patches are read; the encoder's by default.
    patch_size : int, optional
        Width of a patch in px at `mpp`; the encoder's by default.
    stride : int, optional
        Distance between patches in px at `mpp`; `patch_size` by default.
    tissue : {"density", "otsu"}, None, str, Annotations or callable, default="density"
        Where the tissue is: by the optical density of the thumbnail relative to the slide's glass; by Otsu's threshold
        on its saturation; None to drop patches whose mean pixel is at least 245; the pattern of mask files, such as
        "masks/{stem}.png" or "{stem}.geojson", or `sknic.slides.Annotations` to choose among classes of polygons; or
        a function from `Slide` to a bool array over the whole slide.
    min_tissue : float
        A cell counts when more than this share of its patch is tissue.
    slide_mpp : float or mapping, optional
        um per px of the slides' level 0 where their metadata lack it or lie: one number, or a mapping or Series from
        path, file name or stem to a number.
    orientations : 1 or 8
        8 also encodes the turned and mirrored pixels, for training and test-time augmentation.
    precision : "float32", "bfloat16" or "float16"
        What the encoder computes in. The halves are for GPUs; a slide whose embeddings they change by more than 1 %
        fails.
    cache_dir : str, Path, "auto" or None
        Folder that keeps the grids, so that a slide is compressed once for the same encoder and settings; "auto" is the
        platform's cache folder, None keeps nothing.
    on_error : "raise" or "skip"
        At the end, raise an error that names every slide that failed, or warn and leave an empty grid in its row.
    batch_size : int or "auto"
        Patches encoded at once on a GPU.
    device : str
        "auto", "cpu", "cuda" or "cuda:1".
    n_jobs : int, optional
        Slides compressed at once. The cores of one slide's worker are shared out by joblib.
    verbose : int
        1 shows a progress bar.

    Examples
    --------
    >>> from sknic import MeanRGBEncoder, SlideCompressor
    >>> SlideCompressor(MeanRGBEncoder(), stride=64)
    SlideCompressor(encoder=MeanRGBEncoder(), stride=64)
    """

    def __init__(
        self,
        encoder: Any,
        mpp: float | None = None,
        patch_size: int | None = None,
        stride: int | None = None,
        tissue: str | Annotations | Callable | None = "density",
        min_tissue: float = 0.6,
        slide_mpp: float | Mapping[str, float] | None = None,
        orientations: int = 1,
        precision: str = "float32",
        cache_dir: str | Path | None = None,
        on_error: str = "raise",
        batch_size: int | str = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.mpp = mpp
        self.patch_size = patch_size
        self.stride = stride
        self.tissue = tissue
        self.min_tissue = min_tissue
        self.slide_mpp = slide_mpp
        self.orientations = orientations
        self.precision = precision
        self.cache_dir = cache_dir
        self.on_error = on_error
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Sequence[str | Path] | np.ndarray, y: Any = None) -> Self:
        """Check the encoder, the settings and the list of paths; nothing is learnt.

        Parameters
        ----------
        X : sequence of str or Path
        y : ignored

        Returns
        -------
        self
        """
        check_paths(X)
        self._recipe(resolve_encoder(self.encoder))
        return self

    def transform(self, X: Sequence[str | Path] | np.ndarray) -> np.ndarray:
        """Compress slides.

        Parameters
        ----------
        X : sequence of str or Path, length n

        Returns
        -------
        ndarray of object, shape (n,)
            One Grid per slide.

        Raises
        ------
        CompressionError
            With `on_error="raise"`, after all slides were tried, when some failed.
        """
        encoder = resolve_encoder(self.encoder)
        grids, _ = compress_cohort(
            check_paths(X),
            encoder,
            self._recipe(encoder),
            cache_dir=self.cache_dir,
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            device=str(resolve_device(self.device)),
            batch_size=None if self.batch_size == "auto" else self.batch_size,
            verbose=self.verbose,
        )
        array = np.empty(len(grids), dtype=object)
        array[:] = grids
        return array

    def plan(self, X: Sequence[str | Path] | np.ndarray) -> pd.DataFrame:
        """What `transform` would do, without doing it.

        Parameters
        ----------
        X : sequence of str or Path

        Returns
        -------
        pandas.DataFrame
            One row per slide: status ("cached", "to do" or "cannot"), mpp, estimated n_cells, reason.
        """
        encoder = resolve_encoder(self.encoder)
        plans = plan_cohort(
            check_paths(X),
            encoder,
            self._recipe(encoder),
            cache_dir=self.cache_dir,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        return pd.DataFrame(plans)

    def _recipe(self, encoder):
        """The settings, checked where the user's input enters."""
        patch_size = encoder.patch_size if self.patch_size is None else self.patch_size
        stride = patch_size if self.stride is None else self.stride
        mpp = encoder.mpp if self.mpp is None else self.mpp
        for name, value in (("patch_size", patch_size), ("stride", stride)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name}={value!r} must be a whole number of px, at least 1")
        if not isinstance(mpp, Real) or not 0.05 <= mpp <= 10:
            raise ValueError(f"mpp={mpp!r} must be um per px between 0.05 and 10; set SlideCompressor(mpp=...)")
        if not isinstance(self.min_tissue, Real) or not 0 <= self.min_tissue < 1:
            raise ValueError(f"min_tissue={self.min_tissue!r} must be a share in [0, 1)")
        if self.orientations not in (1, 8):
            raise ValueError(f"orientations={self.orientations!r} must be 1 or 8")
        if self.precision not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"precision={self.precision!r} must be 'float32', 'bfloat16' or 'float16'")
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error={self.on_error!r} must be 'raise' or 'skip'")
        slide_mpp = self.slide_mpp.to_dict() if isinstance(self.slide_mpp, pd.Series) else self.slide_mpp
        if slide_mpp is not None and not isinstance(slide_mpp, (Real, Mapping)):
            raise ValueError(f"slide_mpp={slide_mpp!r} must be a number, a mapping or None")
        return Recipe(
            float(mpp),
            int(patch_size),
            int(stride),
            self.tissue,
            self.min_tissue,
            slide_mpp,
            self.orientations,
            self.precision,
        )

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_clone__(self):
        # clone() would hand back an unfitted encoder, and cross-validation would have forgotten it.
        params = self.get_params(deep=False)
        encoder = params.pop("encoder")
        return type(self)(encoder=encoder, **{name: clone(value, safe=False) for name, value in params.items()})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def check_paths(X):
    """List of paths as strings, from a list, array, Series or one-column frame.

    Raises
    ------
    ValueError
        If `X` is a single path or not a list of paths.
    """
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(f"X={X!r} is one path; pass a list of paths")
    values = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"X has shape {values.shape}; expected a list of paths to slides")
    wrong = [value for value in values if not isinstance(value, (str, os.PathLike))]
    if wrong:
        raise ValueError(f"X holds {wrong[0]!r} ({type(wrong[0]).__name__}); expected paths to slides")
    return [os.fspath(value) for value in values]


def resolve_encoder(encoder):
    """The fitted encoder that a user gave as an object, a frozen one or a path.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the encoder was not fitted.
    TypeError
        If it is not an encoder.
    """
    if isinstance(encoder, FrozenEstimator):
        encoder = encoder.estimator
    if isinstance(encoder, (str, os.PathLike)):
        return _load_once(os.path.abspath(encoder), _modified(encoder))
    if not hasattr(encoder, "transform") or not hasattr(encoder, "fingerprint"):
        raise TypeError(f"encoder={encoder!r} must have transform(patches) and fingerprint(), or be a path")
    if hasattr(encoder, "fit"):
        check_is_fitted(encoder)
    return encoder


def _modified(path):
    return os.stat(path).st_mtime_ns if Path(path).is_file() else None


@lru_cache(maxsize=4)
def _load_once(path, modified):
    from sknic.encoders import load_encoder

    return load_encoder(path)
