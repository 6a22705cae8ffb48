"""The input of a compressor: paths of slides and an encoder, in any of their forms."""

import os
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sknic.compression.workers import AUTO
from sknic.files.known import stamp
from sknic.learning.device import DEVICE
from sknic.learning.params import Rule, choice, function, instance, integer, level, nothing, real
from sknic.slides import Annotations
from sknic.slides.mask_files import is_pattern
from sknic.slides.metadata import MPP_RANGE
from sknic.slides.tissue import BY_THUMBNAIL

MPP = real(*MPP_RANGE)


def _are_ascending(value):
    is_list = isinstance(value, list | tuple) and len(value) > 0 and all(map(MPP.accepts, value))
    return is_list and all(fine < coarse for fine, coarse in zip(value, value[1:]))


RULES: dict[str, Rule] = {
    "mpp": MPP | Rule(_are_ascending, "a list of such numbers, the finest first") | nothing,
    "patch_size": integer(1) | nothing,
    "stride": integer(1) | nothing,
    "tissue": choice(*BY_THUMBNAIL)
    | nothing
    | function
    | instance(Annotations, name="sknic.slides.Annotations")
    | Rule(is_pattern, "a pattern of mask files such as '{stem}.png'"),
    "min_tissue": real(0, below=1),
    "slide_mpp": real(above=0) | instance(Mapping, pd.Series, name="a mapping from path to a number") | nothing,
    "orientations": Rule(lambda value: integer().accepts(value) and value in (1, 8), "1 or 8"),
    "precision": choice("float32", "fast", "bfloat16", "float16"),
    "cache_dir": instance(str, os.PathLike, name="a folder") | nothing,
    "on_error": choice("raise", "skip"),
    "batch_size": choice("auto") | integer(1),
    "device": DEVICE,
    "n_jobs": Rule(lambda value: integer().accepts(value) and value != 0, "an integer other than 0")
    | choice(AUTO)
    | nothing,
    "verbose": level,
}


def check_paths(X):
    """Return paths as strings, from a list, array, Series or one-column frame.

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
    wrong = [(i, value) for i, value in enumerate(values) if not isinstance(value, (str, os.PathLike)) or not value]
    if wrong:
        row, value = wrong[0]
        raise ValueError(f"X[{row}]={value!r}: expected the path of a slide, found {type(value).__name__}")
    return [os.fspath(value) for value in values]


def resolve_encoder(encoder):
    """Return the fitted encoder, which the user may give as an object, a frozen object, a name or a path.

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
        from sknic.encoders.catalog import encoder_path
        from sknic.encoders.foreign import Foreign

        path = os.path.abspath(encoder_path(encoder))
        foreign = Foreign.parse(encoder)
        name = path if foreign is None else str(foreign)
        return _load_once(name, _last_change(path, *([foreign.settings_file] if foreign else [])))
    if not hasattr(encoder, "transform") or not hasattr(encoder, "fingerprint"):
        raise TypeError(f"encoder={encoder!r}: expected transform(patches) and fingerprint(), or a name or path")
    if hasattr(encoder, "fit"):
        check_is_fitted(encoder)
    return encoder


def _last_change(*paths):
    return tuple(stamp(os.stat(path)) for path in paths if os.path.exists(path))


@lru_cache(maxsize=4)
def _load_once(name, modified):
    from sknic.encoders import load_encoder

    return load_encoder(name)
