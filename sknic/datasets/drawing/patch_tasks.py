"""Labelled patches of drawn tissue: four tasks like the paper's, from many sources and several scanners."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sknic.datasets.drawing import glands, nuclei, stains, textures
from sknic.datasets.drawing.tissue import MAP_STEP, NAMES, paint

MPP = 0.5
# task -> label -> (tissue, tissue strewn into it)
TASKS = {
    "lymph": {"normal": ("lymphocytes", "stroma"), "tumour": ("tumour", "lymphocytes")},
    "mitosis": {"mitosis": ("tumour", "stroma"), "other": ("tumour", "stroma")},
    "prostate": {"epithelium": ("epithelium", "stroma"), "stroma": ("stroma", "muscle")},
    "colorectal": {
        "adipose": ("adipose", "stroma"),
        "debris": ("debris", "mucus"),
        "empty": ("glass", "glass"),
        "lympho": ("lymphocytes", "stroma"),
        "mucosa": ("mucosa", "lymphocytes"),
        "mucus": ("mucus", "debris"),
        "muscle": ("muscle", "stroma"),
        "stroma": ("stroma", "lymphocytes"),
        "tumour": ("tumour", "stroma"),
    },
}
_STREWN_SHARE = 0.12


@dataclass(frozen=True)
class PatchTasks:
    """Labelled patches; ``patches, labels = make_patch_tasks()`` takes the first two.

    Attributes
    ----------
    patches : uint8 array (n, patch_size, patch_size, 3)
        RGB at 0.5 um/px.
    labels : DataFrame (n rows)
        One column per task; None if a patch belongs to another task.
    groups : str array (n,)
        Source of each patch: patches of one source must never be on both sides of a split.
    centers : str array (n,)
        Scanner of each patch.
    """

    patches: np.ndarray
    labels: pd.DataFrame
    groups: np.ndarray
    centers: np.ndarray

    def __iter__(self):
        return iter((self.patches, self.labels))


def make_patch_tasks(
    n_patches: int = 2000,
    *,
    n_centers: int = 4,
    patch_size: int = 64,
    patches_per_source: int = 16,
    random_state: int | np.random.RandomState | None = 0,
) -> PatchTasks:
    """Draw labelled patches of four tasks, as the paper's encoder learns them (section 4.1).

    lymph (tumour or normal lymph node), mitosis (a mitotic figure in the middle or not), prostate (epithelium or
    stroma), colorectal (nine tissues). Patches come from sources, small fields of one label with some other tissue
    strewn in; sources are spread evenly over labels and scanners, whose stains differ.

    Parameters
    ----------
    n_patches : int
        Number of patches of all tasks together, a quarter each; at least 44 so that every label occurs.
    n_centers : int
        Number of scanners; number 0 has the nominal stain.
    patch_size : int
        Side in px at 0.5 um/px, a multiple of 8.
    patches_per_source : int
        Maximum number of patches per source.
    random_state : int, RandomState or None
        The same seed gives the same patches.

    Returns
    -------
    PatchTasks
        patches, labels, groups, centers; unpacks as ``patches, labels``. Rows are shuffled.
    """
    least = len(TASKS) * (max(map(len, TASKS.values())) + 2)
    if n_patches < least:
        raise ValueError(f"n_patches={n_patches}: expected at least {least}, so that every label occurs")
    if patch_size % MAP_STEP or patch_size < 32:
        raise ValueError(f"patch_size={patch_size}: expected a multiple of {MAP_STEP}, at least 32")
    rng = check_random_state(random_state)
    patches, rows = [], []
    for number, (task, labels) in enumerate(TASKS.items()):
        n_task = n_patches // len(TASKS) + (number < n_patches % len(TASKS))
        for source in _sources(task, list(labels), n_task, n_centers, patches_per_source):
            patches.append(_draw_source(source, patch_size, rng))
            rows += [source] * source["count"]
    order = rng.permutation(n_patches)
    sources = pd.DataFrame(rows).iloc[order].reset_index(drop=True)
    labels = pd.DataFrame({task: sources["label"].where(sources["task"] == task, None) for task in TASKS})
    groups, centers = sources["group"].to_numpy(str), sources["center"].to_numpy(str)
    return PatchTasks(np.concatenate(patches)[order], labels, groups, centers)


def _sources(task, labels, n_patches, n_centers, patches_per_source):
    """What each source holds: labels and scanners take turns."""
    n_sources = max(-(-n_patches // patches_per_source), min(2 * len(labels) * n_centers, n_patches))
    for number in range(n_sources):
        scanner = number // len(labels) % n_centers
        yield {
            "task": task,
            "label": labels[number % len(labels)],
            "group": f"{task}_{number:04d}",
            "scanner": scanner,
            "center": stains.scanner(scanner).name,
            "count": n_patches // n_sources + (number < n_patches % n_sources),
        }


def _draw_source(source, patch_size, rng):
    """Patches of one source, uint8 (count, patch_size, patch_size, 3)."""
    per_side = int(np.ceil(np.sqrt(source["count"])))
    tissue, strewn = TASKS[source["task"]][source["label"]]
    tissue_map = np.full((per_side * patch_size // MAP_STEP,) * 2, NAMES.index(tissue), np.uint8)
    noise = textures.smooth_noise(tissue_map.shape, 3.0, rng)
    tissue_map[noise > np.quantile(noise, 1 - _STREWN_SHARE)] = NAMES.index(strewn)
    haematoxylin, eosin = paint(tissue_map, rng)
    if source["label"] == "mitosis":
        _add_mitoses(haematoxylin, per_side, patch_size, rng)
    field = stains.Film(_batch(stains.scanner(source["scanner"]), rng), rng).develop(haematoxylin, eosin)
    tiles = field.reshape(per_side, patch_size, per_side, patch_size, 3).swapaxes(1, 2)
    return tiles.reshape(-1, patch_size, patch_size, 3)[rng.permutation(per_side**2)[: source["count"]]]


def _add_mitoses(haematoxylin, per_side, patch_size, rng):
    """A mitotic figure near the middle of every patch of the field, in place."""
    middles = (np.indices((per_side, per_side)).reshape(2, -1).T + 0.5) * patch_size
    places = middles + rng.uniform(-6, 6, middles.shape)
    glands.clear(haematoxylin, places, radius=15)
    nuclei.press(haematoxylin, "mitosis", places, None, rng)


def _batch(scanner, rng):
    """The scanner with the day's dyes: staining varies from block to block."""
    return replace(
        scanner,
        haematoxylin_strength=scanner.haematoxylin_strength * np.exp(rng.normal(0, 0.10)),
        eosin_strength=scanner.eosin_strength * np.exp(rng.normal(0, 0.10)),
    )
