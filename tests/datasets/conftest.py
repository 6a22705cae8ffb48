"""A small drawn cohort and a small folder of patches, made once."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sknic.datasets import make_histology_cohort


@pytest.fixture(scope="session")
def cohort_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cohort")


@pytest.fixture(scope="session")
def cohort(cohort_dir):
    return make_histology_cohort(4, cohort_dir, shape=(20, 20), random_state=0)


@pytest.fixture
def patch_dir(tmp_path):
    """24 patches of 16 px: four colorectal labels of three sources, two patches each; grey level 10 * source."""
    root, rows = tmp_path / "patches", []
    for number, label in enumerate(["lympho", "mucosa", "stroma", "tumour"]):
        for source in range(3):
            for copy in range(2):
                path = f"colorectal/{label}/{source}_{copy}.png"
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                level = 20 + 50 * number + 10 * source
                Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(root / path)
                group = f"{label}{source}"
                rows.append({"path": path, "task": "colorectal", "label": label, "group": group, "mpp": 0.495})
    pd.DataFrame(rows).to_csv(root / "patches.csv", index=False)
    return root
