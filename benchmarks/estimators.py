"""What does GridCNNRegressor cost, compared with a plain PyTorch loop of the same network on the same grids?

100 grids of 160 x 160 cells, C = 128, 20 to 50 % of it tissue, as sparse float16 Grids in memory; crops of 160 cells,
batches of 16, turned and mirrored. The plain loop is what one writes by hand: a Dataset that makes a grid dense and
turns it, a DataLoader, Adam. The tuned loop keeps dense float16 grids in memory and computes in channels-last memory,
which suits this network on a CPU, so that the estimator is measured against the better of the two. The last way is
sknic's data (crop, turn, collate) without a network. Runs are whole, in fresh processes, and interleaved; medians of
the epochs after the first.
"""

import argparse
import json
import math
import os
import resource
import statistics
import time

import numpy as np

from benchmarks.common import in_fresh_process, report, work_dir

N_GRIDS, SIDE, CHANNELS, BATCH = 100, 160, 128, 16
EPOCHS = 3  # the first one pays for memory and kernels


def make_grids(n=N_GRIDS, side=SIDE, shares=(0.2, 0.5), seed=0):
    """Grids of one piece of tissue each, and their target."""
    from sknic import Grid

    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) - side / 2
    reach = np.hypot(y, x)
    grids = []
    for share in np.linspace(*shares, n):
        cells = np.argwhere(reach <= np.quantile(reach, share))
        embeddings = rng.standard_normal((len(cells), CHANNELS), np.float32).astype(np.float16)
        grids.append(Grid(embeddings, cells, (side, side)))
    return grids, rng.standard_normal(n).astype(np.float32)


def run_sknic(grids, target, options):
    from sknic import GridCNNRegressor

    model = GridCNNRegressor(
        crop_size=SIDE,
        batch_size=BATCH,
        max_steps=EPOCHS * math.ceil(len(grids) / BATCH),
        eval_every=math.ceil(len(grids) / BATCH),
        validation_fraction=None,
        n_threads=options.threads,
        device=options.device,
        random_state=0,
    ).fit(grids, target)
    return [row["dur"] for row in model.history_]


def run_data(grids, target, options):
    """sknic's crops, drawn, turned, laid out and collated, without a network."""
    import torch

    from sknic.estimators.batches import CohortBatches
    from sknic.estimators.crops import Canvas, TrainingCrops

    torch.set_num_threads(options.threads)
    canvas = Canvas(SIDE, CHANNELS, np.float16, options.device)
    crops = TrainingCrops(grids, torch.from_numpy(target), canvas, np.random.RandomState(0))
    batches = CohortBatches(np.zeros(len(grids), int), BATCH)
    loader = torch.utils.data.DataLoader(crops, batch_sampler=batches, collate_fn=lambda batch: batch)
    return seconds_of_epochs(lambda: [x.shape for x, _ in loader], options.device)


def run_plain(grids, target, options):
    import torch

    from sknic.estimators import GridCNN

    class Crops(torch.utils.data.Dataset):
        def __len__(self):
            return len(grids)

        def __getitem__(self, i):
            return turned(torch.from_numpy(grids[i].to_dense(np.float32)), (1, 2)), target[i]

    torch.set_num_threads(options.threads)
    step = training_step(GridCNN(CHANNELS, 1).to(options.device), options.device)
    loader = torch.utils.data.DataLoader(Crops(), batch_size=BATCH, shuffle=True)
    return seconds_of_epochs(lambda: [step(x, y) for x, y in loader], options.device)


def run_tuned(grids, target, options):
    import torch

    from sknic.estimators import GridCNN

    torch.set_num_threads(options.threads)
    dense = torch.from_numpy(np.stack([grid.to_dense().transpose(1, 2, 0) for grid in grids]))
    target = torch.from_numpy(target)
    network = GridCNN(CHANNELS, 1).to(options.device, memory_format=torch.channels_last)
    step = training_step(network, options.device)

    def epoch():
        for rows in torch.randperm(len(dense)).split(BATCH):
            x = torch.stack([turned(dense[i], (0, 1)) for i in rows]).float()
            step(x.permute(0, 3, 1, 2), target[rows])

    return seconds_of_epochs(epoch, options.device)


def turned(crop, axes):
    """One of the eight orientations of a crop, at random."""
    turns, mirrored = np.random.randint(4), np.random.randint(2)  # noqa: NPY002
    crop = crop.rot90(turns, axes)
    return crop.flip(axes[1]) if mirrored else crop


def training_step(network, device):
    import torch

    # foreach is the default on CUDA; on a CPU the fused form, which sknic uses too, is the fastest.
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=True)

    def step(x, y):
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            output = network(x.to(device))[:, 0]
        loss = torch.nn.functional.mse_loss(output.float(), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def seconds_of_epochs(one, device):
    seconds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        one()
        if device == "cuda":
            import torch

            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return seconds


WAYS = {
    "GridCNNRegressor": run_sknic,
    "plain loop": run_plain,
    "tuned loop": run_tuned,
    "sknic's data alone": run_data,
}


def one_run(way, options):
    """Run in this process; print the seconds of an epoch and peak MB as JSON."""
    grids, target = make_grids()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    epochs = WAYS[way](grids, target, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": statistics.median(epochs[1:]), "mb": peak / 1e3, "grids_mb": before / 1e3}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", metavar="WAY")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way; those already kept count")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were kept")
    options = parser.parse_args()
    if options.one:
        one_run(options.one, options)
        return
    kept = work_dir("estimators") / f"runs-{options.device}-{options.threads}.json"
    runs = json.loads(kept.read_text()) if kept.exists() and not options.fresh else []
    while len(runs) < options.rounds:
        runs.append({way: _measured(way, options) for way in WAYS})
        kept.write_text(json.dumps(runs))
    title = f"An epoch of {N_GRIDS} grids of {SIDE} x {SIDE} x {CHANNELS}, {options.threads} threads, {options.device}"
    report("estimators", _rows(runs), title)


def _measured(way, options):
    arguments = ["--one", way, "--threads", options.threads, "--device", options.device]
    return in_fresh_process("benchmarks.estimators", *arguments)


def _rows(runs):
    seconds = {way: statistics.median(run[way]["seconds"] for run in runs) for way in WAYS}
    return [
        {
            "way": way,
            "runs": len(runs),
            "epoch, s": seconds[way],
            "lowest to highest": " to ".join(f"{f(run[way]['seconds'] for run in runs):.2f}" for f in (min, max)),
            "x plain loop": seconds[way] / seconds["plain loop"],
            "x tuned loop": seconds[way] / seconds["tuned loop"],
            "x GridCNNRegressor": seconds[way] / seconds["GridCNNRegressor"],
            "peak MB": statistics.median(run[way]["mb"] for run in runs),
        }
        for way in WAYS
    ]


if __name__ == "__main__":
    main()
