"""SlideCompressor: paths of slides in, grids out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone

from sknic.compression.inputs import RULES, check_paths, resolve_encoder
from sknic.compression.job import Job, Outcome
from sknic.compression.magnifications import combined, combined_plan
from sknic.compression.manifest import MANIFEST, Manifest
from sknic.compression.outcomes import speak_up
from sknic.compression.recipe import Recipe
from sknic.compression.restartable import plans, run
from sknic.compression.shards import Shard
from sknic.compression.slide_mpp import by_slide
from sknic.grids import Grid, GridCache
from sknic.learning.device import resolve_device, resolve_precision
from sknic.learning.params import check, check_params
from sknic.progress import Progress, followed
from sknic.slides import Annotations


class SlideCompressor(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Compress whole-slide images to grids of embeddings (neural image compression, paper Fig. 1).

    Parameters
    ----------
    encoder : fitted encoder, str or Path, default="sknic-he-1"
        Any object with `transform(patches)` and `fingerprint()`, also inside a `FrozenEstimator`; or the name of a
        bundled encoder or the path of a file, which `load_encoder` reads. It is never fitted here, and `clone` keeps
        it unchanged.
    mpp : float or list of float, default=None
        um per px at which patches are read; the encoder's by default. Of a list, such as [0.5, 2.0], the first is the
        finest: the grid has its cells, and the channels of the coarser magnifications, repeated over them, follow.
    patch_size : int, default=None
        Width of a patch in px at `mpp`; the encoder's by default.
    stride : int, default=None
        Distance between patches in px at `mpp`; `patch_size` by default.
    tissue : {"density", "otsu"}, None, str, Annotations or callable, default="density"
        How to find tissue: "density" uses the optical density of the thumbnail relative to the slide's glass; "otsu"
        uses Otsu's threshold on its saturation; None drops patches whose mean pixel is at least 245. Or a pattern of
        mask files, such as "masks/{stem}.png" or "{stem}.geojson"; `sknic.slides.Annotations` to choose classes of
        polygons; or a function from `Slide` to a bool array over the whole slide.
    min_tissue : float, default=0.6
        Share of tissue that a patch must exceed to be encoded.
    slide_mpp : float or mapping, default=None
        um per px of the slides' level 0, for slides whose metadata are missing or wrong: one number, or a mapping or
        Series from path, file name or stem to a number. NaN uses the metadata of the slide; so does a slide that is
        not in the mapping, with a warning.
    orientations : {1, 8}, default=1
        Number of orientations of the pixels to encode; 8 are used for training and test-time augmentation.
    precision : {"float32", "fast", "bfloat16", "float16"}, default="float32"
        Number format of the encoder's computation. "fast" is "bfloat16" on CPUs and GPUs that support it natively
        (AVX512-BF16, AMX), and "float32" elsewhere; the grids record which was used. With the 16-bit formats the first
        and the last layer stay float32, and a slide fails if its embeddings change by more than 1 %.
    cache_dir : str, Path, "auto" or None, default=None
        Folder for the grids, so that a slide is compressed only once with the same encoder and settings; "auto" is the
        platform's cache folder, and None stores nothing.
    on_error : {"raise", "skip"}, default="raise"
        What to do about slides that fail, after all have been tried: raise one error that names them, or warn and put
        an empty grid in the place of each.
    batch_size : int or "auto", default="auto"
        Number of patches encoded at once on a GPU.
    device : str, default="auto"
        Device of the encoder: "auto", "cpu", "cuda" or "cuda:1".
    n_jobs : int or "auto", default=None
        Number of slides compressed at once. joblib divides the cores between the workers. "auto" compresses the first
        slide in this process with all cores, and the others likewise or with a worker per core, whichever is expected
        to take less time. Only a worker can die without ending the run.
    verbose : int, default=0
        Level of messages; 1 shows a progress bar.

    See Also
    --------
    sknic.GridCNNClassifier : Learns from the grids.

    Notes
    -----
    The output is a one-dimensional object array, because grids differ in size. Its only feature name is "grid". There
    is no `set_output`, because no later step takes a column of grids in a table.

    References
    ----------
    Tellez et al., Neural image compression for gigapixel histopathology image analysis, IEEE TPAMI 43(2), 2021.

    Examples
    --------
    >>> from sknic import MeanRGBEncoder, SlideCompressor
    >>> SlideCompressor(MeanRGBEncoder(), stride=64)
    SlideCompressor(encoder=MeanRGBEncoder(), stride=64)
    """

    def __init__(
        self,
        encoder: Any = "sknic-he-1",
        *,
        mpp: float | Sequence[float] | None = None,
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
        n_jobs: int | str | None = None,
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
            Paths of slides.
        y : object, default=None
            Ignored.

        Returns
        -------
        SlideCompressor
            The compressor itself.

        Raises
        ------
        ValueError
            If a setting has an invalid value.
        """
        check_paths(X)
        self._jobs()
        return self

    def transform(self, X: Sequence[str | Path] | np.ndarray) -> np.ndarray:
        """Compress slides.

        Parameters
        ----------
        X : sequence of str or Path, length n
            Paths of slides.

        Returns
        -------
        ndarray of object, shape (n,)
            One Grid per slide.

        Raises
        ------
        CompressionError
            With `on_error="raise"`, if some slides failed, after all have been tried.

        Warns
        -----
        TissueWarning
            If no tissue was found on a slide; its grid has no cells, and estimators refuse it.
        DamagedLevelWarning
            If a pyramid level of a slide is damaged and was read from a finer one; the header of the grid has it too.
        SlideFailureWarning
            With `on_error="skip"`, if slides failed.
        """
        outcomes = self.compress(X)
        speak_up(outcomes, self.on_error)
        code_size = self._code_size(outcomes)
        grids = np.empty(len(outcomes), dtype=object)
        grids[:] = [outcome.grid or _empty_grid(outcome.slide, code_size) for outcome in outcomes]
        return grids

    def compress(self, X: Sequence[str | Path] | np.ndarray, *, shard: str | None = None) -> list[Outcome]:
        """Compress slides and return the outcome of each; like `transform`, but without errors and warnings.

        Parameters
        ----------
        X : sequence of str or Path, length n
            Paths of slides.
        shard : str, default=None
            "i/n" for part i of n of the slides, such as "3/20". Each part has its own manifest; meant for jobs of a
            cluster, which share `cache_dir`.

        Returns
        -------
        list of Outcome, length n
            One per path, in their order: `status` ("done", "cached", "no tissue" or "failed"), `grid`, `error` and
            more. With `shard`, one per slide of the shard.
        """
        paths, (job, *coarser), name = check_paths(X), self._jobs(), MANIFEST
        job.recipe.check_slides(paths)
        if shard is not None:
            part = Shard.parse(shard)
            paths, name = part.slides(paths), part.manifest
        manifest = Manifest(job.cache.folder, name) if job.cache is not None else None
        outcomes, done = {}, Counter[str]()
        of_coarser = [self._at_other_mpp(other, paths) for other in coarser]
        mpps = [each.recipe.mpp for each in (job, *coarser)]
        try:
            with Progress(len(set(paths)), "slides", shown=self.verbose) as progress:
                for outcome in run(job, paths, n_jobs=self.n_jobs):
                    outcome = combined([outcome, *(of[outcome.slide] for of in of_coarser)], mpps)
                    outcomes[outcome.slide] = outcome
                    if manifest is not None:
                        manifest.add(outcome)
                    done[outcome.status] += 1
                    done["patches"] += outcome.n_cells if outcome.status == "done" else 0
                    progress.advance(_note(done, progress.seconds))
        finally:
            if manifest is not None:
                manifest.tidy()
        return [outcomes[path] for path in paths]

    def plan(self, X: Sequence[str | Path] | np.ndarray) -> pd.DataFrame:
        """Report what `transform` would do, without doing it.

        Parameters
        ----------
        X : sequence of str or Path
            Paths of slides.

        Returns
        -------
        pandas.DataFrame
            One row per slide: status ("cached", "to do", "no tissue" or "cannot"), mpp, estimated n_cells, reason.
        """
        paths, jobs = check_paths(X), self._jobs()
        jobs[0].recipe.check_slides(paths)
        plan_of = []
        for job in jobs:
            every = followed(plans(job, paths, n_jobs=self.n_jobs), "slides", len(set(paths)), shown=self.verbose)
            plan_of.append({plan.slide: plan for plan in every})
        mpps = [job.recipe.mpp for job in jobs]
        return pd.DataFrame([combined_plan([of[path] for of in plan_of], mpps) for path in paths])

    def _at_other_mpp(self, job, paths):
        """Outcome of each slide at a coarser magnification, whose grids the cache keeps as grids of their own."""
        every = run(job, paths, n_jobs=self.n_jobs)
        title = f"slides at {job.recipe.mpp:g} um/px"
        return {outcome.slide: outcome for outcome in followed(every, title, len(set(paths)), shown=self.verbose)}

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the name of the only column of the output.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of object, shape (1,)
            The name "grid".
        """
        return np.array(["grid"], dtype=object)

    def _jobs(self):
        """The job for each slide at each um/px, the finest first; here, where they enter, the settings are checked."""
        check_params(self, RULES)
        encoder = resolve_encoder(self.encoder)
        device = str(resolve_device(self.device))
        cache = None if self.cache_dir is None else GridCache(self.cache_dir)
        batch_size = None if self.batch_size == "auto" else int(self.batch_size)
        return [Job(encoder, self._recipe(encoder, mpp), cache, device, batch_size) for mpp in self._mpps]

    @property
    def _mpps(self):
        """um/px of each magnification, the finest first; None for the encoder's."""
        return self.mpp if isinstance(self.mpp, list | tuple) else [self.mpp]

    def _recipe(self, encoder, mpp):
        given = {"mpp": mpp, "patch_size": self.patch_size}
        sizes = {name: getattr(encoder, name, None) if size is None else size for name, size in given.items()}
        for name, value in sizes.items():
            if value is None:
                raise ValueError(f"{name}=None: expected a number, because this encoder does not have its own")
            check(name, value, RULES[name])
        stride = sizes["patch_size"] if self.stride is None else self.stride
        return Recipe(
            mpp=float(sizes["mpp"]),
            patch_size=int(sizes["patch_size"]),
            stride=int(stride),
            tissue=self.tissue,
            min_tissue=self.min_tissue,
            slide_mpp=by_slide(self.slide_mpp),
            orientations=self.orientations,
            precision=self._precision(),
        )

    def _precision(self):
        return self.precision if self.precision != "fast" else resolve_precision("auto", resolve_device(self.device))

    def _code_size(self, outcomes):
        """C of the grids, for the empty grids of slides that failed."""
        sizes = [outcome.grid.code_size for outcome in outcomes if outcome.grid is not None]
        return sizes[0] if sizes else getattr(resolve_encoder(self.encoder), "code_size", 1) * len(self._mpps)

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


def _note(done, seconds):
    """Progress on the slides so far, in words."""
    said = {"patches/s": done["patches"] / seconds, "cached": done["cached"], "failed": done["failed"]}
    return ", ".join(f"{number:,.0f} {name}" for name, number in said.items() if number)


def _empty_grid(path, code_size):
    return Grid(np.empty((0, code_size)), np.empty((0, 2)), (1, 1), slide=path, tissue_fraction=0.0)
