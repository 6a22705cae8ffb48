"""The real patches that encoders are trained and judged on: six tasks in one memory map, a fifth of each held out.

The sheets of `sheets/` (lymph, mitosis, ebhi, gleason, polyp) and the folder `patches/colorectal`. Sources are never
divided: fold 0 of five is never used for training, by encoders or by probes. Classes with fewer sources than folds are
only used for training.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.common import test_data, work_dir
from sknic.files.whole import whole_file

N_FOLDS = 5
# What may be trained on for weights that are shipped, with its license and whom to credit.
SHIPPABLE = {
    "lymph": "PatchCamelyon, from CAMELYON16; CC0 (Veeling et al. 2018; Ehteshami Bejnordi et al. 2017)",
    "mitosis": "AMi-Br benchmark (MIDOG21, TUPAC16, MIDOG++, TCGA); MIT (Bertram et al. 2025)",
    "colorectal": "Collection of textures in colorectal cancer histology, and NCT-CRC-HE; CC BY 4.0 (Kather et al.)",
}


@dataclass(frozen=True)
class PatchData:
    """Patches and a table of what is known about each.

    Attributes
    ----------
    patches : uint8 memory map (n, 64, 64, 3)
    table : DataFrame
        Row for row: task, label, group, mpp, center, fold (-1: in no fold, for training only).
    """

    patches: np.ndarray
    table: pd.DataFrame

    def rows(self, tasks, held_out):
        """Rows of some tasks that are held out, or those that are not."""
        here = self.table["task"].isin(list(tasks)) & ((self.table["fold"] == 0) == held_out)
        return np.flatnonzero(here)

    def digest(self, rows):
        """Hex SHA-256 of these patches and their labels."""
        sha = hashlib.sha256()
        for row in rows:
            sha.update(np.ascontiguousarray(self.patches[row]))
        sha.update("\0".join(self.table["task"].iloc[rows] + "/" + self.table["label"].iloc[rows]).encode())
        return sha.hexdigest()


def read_patches():
    """The patches of all tasks, packed once and found again."""
    folder = work_dir("encoder_patches")
    path = folder / "patches.npy"
    sheets = pd.read_csv(test_data("sheets", "index.csv"), dtype={"group": str, "name": str})
    single = pd.read_csv(test_data("patches", "patches.csv"), dtype={"group": str})
    single = single[single["task"] == "colorectal"].reset_index(drop=True)
    if not path.is_file():
        with whole_file(path) as temporary:
            shape = (len(sheets) + len(single), 64, 64, 3)
            patches = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            _unpack(sheets, patches)
            for row, name in enumerate(single["path"], start=len(sheets)):
                patches[row] = np.asarray(Image.open(test_data("patches", name)).convert("RGB"))
            patches.flush()
    single = single.assign(name=single["path"], dataset="kather")
    columns = ["task", "label", "group", "name", "mpp", "dataset"]
    table = pd.concat([sheets[columns], single[columns]], ignore_index=True)
    table["center"] = _centers(table)
    table["fold"] = _folds(table)
    return PatchData(np.load(path, mmap_mode="r"), table)


def _unpack(sheets, patches):
    for sheet, rows in sheets.groupby("sheet"):
        tiles = np.asarray(Image.open(test_data("sheets", "sheets", sheet)).convert("RGB"))
        tiles = tiles.reshape(32, 64, 32, 64, 3).swapaxes(1, 2).reshape(1024, 64, 64, 3)
        patches[rows.index] = tiles[rows["place"]]


def _centers(table):
    """Data set of each patch; of mitosis, the collection that it came from, which stands in its name."""
    collection = table["name"].str.extract(r"^([a-z]+_[A-Za-z0-9]+)_")[0]
    return np.where(table["task"] == "mitosis", collection, table["dataset"])


def _folds(table):
    """Fold of each patch: each task is shared out by class, its sources whole; -1 for classes of few sources."""
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.full(len(table), -1)
    n_groups = table.groupby(["task", "label"])["group"].transform("nunique")
    for _, rows in table[n_groups >= N_FOLDS].groupby("task"):
        splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
        for k, (_, test) in enumerate(splitter.split(rows, rows["label"], rows["group"])):
            fold[rows.index[test]] = k
    # A source whose other patches are of a class that is shared out stays with them.
    known = pd.Series(fold).groupby(table["task"] + "/" + table["group"]).transform("max")
    return np.where(fold < 0, known, fold)
