"""Slides, grids and tables of a few kB for the command line."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from sknic import Grid, MeanRGBEncoder
from sknic.datasets import make_histology_cohort


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    """A folder with four slides, one without tissue, one that is not a slide, an encoder and tables of them."""
    folder = tmp_path_factory.mktemp("slides")
    make_histology_cohort(4, folder, shape=(20, 20), random_state=0)
    MeanRGBEncoder().save(folder / "encoder.safetensors")
    glass = np.full((512, 512, 3), 243, np.uint8)
    scale = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(folder / "glass.tiff", glass, tile=(256, 256), photometric="rgb", **scale)
    (folder / "page.svs").write_text("<html>please log in</html>")
    good = pd.read_csv(folder / "cohort.csv", dtype=str)[["path", "patient", "score"]]
    good.to_csv(folder / "good.csv", index=False)
    bad = pd.DataFrame({"path": ["glass.tiff", "page.svs"], "patient": ["x", "y"], "score": ["0.1", "0.2"]})
    pd.concat([good.iloc[:1], bad, good.iloc[1:]]).to_csv(folder / "all.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def grids(tmp_path_factory):
    """A folder with twelve grids of six patients, and a table of them."""
    folder = tmp_path_factory.mktemp("grids")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        dense = rng.normal(size=(4, 6, 6)).astype(np.float16) + i % 2
        plain = Grid.from_dense(dense)
        scale = {"mpp": 0.5, "patch_size": 64, "slide_mpp": 0.25}
        Grid(plain.embeddings, plain.cells, plain.shape, **scale).write(folder / f"grid{i}.h5")
        row = {"path": f"grid{i}.h5", "patient": f"p{i // 2}", "score": i / 12, "label": "ab"[i % 2]}
        rows.append({**row, "event": int(i // 2 % 3 > 0), "time": 1.0 + i // 2})
    pd.DataFrame(rows).to_csv(folder / "grids.csv", index=False)
    return folder
