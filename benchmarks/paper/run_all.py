"""All experiments of the paper, and the page `paper_results.md` that compares them with the paper.

Results are gathered in `DIR/paper/COHORT-MODE` of `--docs DIR`, and the page contains all of them, with the
remarks in `DIR/paper/remarks.txt`. Rerunning one experiment, also on another machine, replaces only that one.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from benchmarks.common import WORK
from benchmarks.paper import ceiling, encoder, encoders, growth_pattern, survival, table1, tasks
from sknic.exceptions import DatasetError

SCRIPTS = {
    "encoder": encoder,
    "table1": table1,
    "ceiling": ceiling,
    "growth_pattern": growth_pattern,
    "survival": survival,
    "encoders": encoders,
    "tasks": tasks,
}
INTRODUCTION = """# The paper's experiments, as they came out here

These are the experiments of [Tellez et al., MIDL 2020](https://proceedings.mlr.press/v121/tellez20a.html), run with
sknic by the scripts in `benchmarks/paper/` on cohorts that everybody can make. Not all slides of the paper are public,
so these numbers cannot repeat the paper's. They show whether its *claims* hold on data of which everything is known. An
effect smaller than its 95 % interval is reported as not shown. Intervals resample patients; they do not include the
variation between seeds of folds and weights, which is given next to them. The line under each result gives the mode,
the seeds and the computing time.

- **synthetic**: H&E slides drawn by `make_histology_cohort`; encoders learn from `make_patch_tasks`.
- **mosaic**: slides assembled from real labelled patches by `make_mosaic_cohort`; encoders learn from other sources.
"""


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--page-only", action="store_true")
    parser.add_argument("--out", type=Path, default=WORK / "paper")
    own, others = parser.parse_known_args()
    if not own.page_only:
        for name, script in SCRIPTS.items():
            started = time.perf_counter()
            try:
                script.main([*others, "--out", str(own.out)])
            except DatasetError as error:  # a user's table rarely has the targets of all experiments
                print(f"== {name}: left out, {error}", flush=True)
                continue
            print(f"== {name}: {(time.perf_counter() - started) / 60:.1f} min of this run", flush=True)
    docs = own.docs or own.out / "docs"
    print(f"wrote {write_page(own.out, docs)}")


def write_page(out, docs):
    """Gather the results under OUT in DOCS/paper, and build DOCS/paper_results.md from all that stand there."""
    gathered = docs / "paper"
    for results in out.glob("*/results"):
        folder = gathered / results.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for file in (file for kind in ("md", "csv", "png") for file in results.glob(f"*.{kind}")):
            shutil.copy(file, folder / file.name)
    remarks = gathered / "remarks.txt"
    parts = [INTRODUCTION, remarks.read_text()] if remarks.exists() else [INTRODUCTION]
    for folder in sorted(gathered.glob("*-*")):
        cohort, _, mode = folder.name.rpartition("-")
        parts.append(f"## {cohort.capitalize()} cohort, {mode} mode\n")
        parts += [(folder / f"{key}.md").read_text() for key in SCRIPTS if (folder / f"{key}.md").exists()]
    docs.mkdir(parents=True, exist_ok=True)
    page = docs / "paper_results.md"
    page.write_text("\n".join(parts))
    return page


if __name__ == "__main__":
    sys.exit(main())
