"""A cohort in parts, one per job of a cluster: the slides of a part, and one manifest for all parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sknic.compression.job import Outcome
from sknic.compression.manifest import COLUMNS, Manifest, as_written
from sknic.exceptions import CompressionError

_FILE = re.compile(r"manifest-(\d+)-of-(\d+)\.csv")
# Shards that a message names.
N_NAMED = 10


@dataclass(frozen=True)
class Shard:
    """Part i of n of a cohort: slides i, i + n, i + 2n and so on, so that large neighboring slides are spread.

    Attributes
    ----------
    number : int
        1 to `of`.
    of : int
        Number of parts.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "3/20".

        Parameters
        ----------
        text : str
            Number of the shard and number of shards.

        Returns
        -------
        Shard
            The shard.

        Raises
        ------
        ValueError
            If it is not two whole numbers, the first from 1 to the second.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", str(text).strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"shard={text!r}: expected 'i/n', shard i of n, with i from 1 to n, such as '1/20'")
        return cls(int(found[1]), int(found[2]))

    def __str__(self):
        return f"{self.number}/{self.of}"

    @property
    def manifest(self) -> str:
        """Name of the shard's own manifest, because shards that run at the same time cannot share one."""
        return f"manifest-{self.number}-of-{self.of}.csv"

    def slides(self, paths: Sequence[str]) -> list[str]:
        """Return the slides of this shard.

        Parameters
        ----------
        paths : sequence of str
            Slides of the cohort, the same in all shards; a repeated slide counts once.

        Returns
        -------
        list of str
            Every slide is in exactly one shard.
        """
        return list(dict.fromkeys(paths))[self.number - 1 :: self.of]


def merge(folder: Path, paths: Sequence[str]) -> list[Outcome]:
    """Merge the manifests of all shards, and remove them once the result has a row for every slide.

    Parameters
    ----------
    folder : Path
        Folder of the cache.
    paths : sequence of str
        Slides of the cohort.

    Returns
    -------
    list of Outcome
        The manifest's entry for each slide, without its grid.

    Raises
    ------
    CompressionError
        If slides have no row yet; the message names the shards that have to run, or to run again.
    """
    folder, paths = Path(folder), list(dict.fromkeys(paths))
    parts = sorted(path for path in folder.glob("manifest-*-of-*.csv") if _FILE.fullmatch(path.name))
    rows = Manifest(folder).take_in(parts, paths)
    missing = [path for path in paths if as_written(path) not in rows]
    if missing:
        raise CompressionError(_what_is_missing(folder, paths, missing, parts))
    for part in parts:
        part.unlink()
        part.with_name(f".{part.name}.lock").unlink(missing_ok=True)
    return [Outcome.of_row(dict(zip(COLUMNS, rows[as_written(path)]))) for path in paths]


def _what_is_missing(folder, paths, missing, parts):
    slides = f"{len(missing)} of {len(paths)} slides have no row in {folder}"
    numbers = {int(_FILE.fullmatch(part.name)[2]) for part in parts}
    if len(numbers) != 1:
        return f"{slides}, such as {missing[0]}: compress them, or their shards, first"
    shards = [Shard(i + 1, *numbers) for i in range(*numbers)]
    late = [shard for shard in shards if not set(missing).isdisjoint(shard.slides(paths))]
    absent = [str(shard) for shard in late if not (folder / shard.manifest).exists()]
    begun = [str(shard) for shard in late if (folder / shard.manifest).exists()]
    found = [f"{what} {_named(those)}" for what, those in (("not run:", absent), ("not finished:", begun)) if those]
    return f"{slides}. Shards {'; shards '.join(found)}. Run these again, then merge"


def _named(shards):
    return ", ".join(shards[:N_NAMED]) + (f" and {len(shards) - N_NAMED} more" if len(shards) > N_NAMED else "")
