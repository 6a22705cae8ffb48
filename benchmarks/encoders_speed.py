"""What does training an encoder cost, against a plain PyTorch loop of the same network, and how fast does it embed?

Training: four tasks, 64 px patches in memory, batches of 128, with and without the heavy augmentation. The plain loop
is what one writes by hand: a DataLoader over the rows, the same network and heads, Adam; the tuned loop keeps the
patches in one tensor and computes in channels-last memory. Both call sknic's own augmentation, so that the loops are
compared and not the augmentations, whose cost is a row of its own. Memory: training on a memory map of 4 GB of which
one patch in 32 is labelled. Embedding: the published network, eager in batches of 256, against `transform`.
Runs are whole, in fresh processes, and interleaved; medians of the epochs after the first.
"""

import argparse
import json
import os
import resource
import statistics
import time

import numpy as np

from benchmarks.common import in_fresh_process, report, test_data, work_dir

N_TASKS, BATCH, STEPS = 4, 128, 8
EPOCHS = 3  # the first one pays for memory and kernels
N_EMBEDDED = 2048
MAP_PATCHES = 350_000


def make_patches(n=BATCH * STEPS):
    """Patches of noise, and one label each."""
    rng = np.random.default_rng(0)
    labels = np.full((n, N_TASKS), -1)
    labels[np.arange(n), np.arange(n) % N_TASKS] = rng.integers(0, 2, n)
    return rng.integers(0, 256, (n, 64, 64, 3), np.uint8), labels


def preset(augmentation):
    from sknic.encoders.augmentation import PRESETS

    return PRESETS[augmentation] if augmentation else lambda x: x


def run_sknic(augmentation):
    from sknic import MultitaskEncoder

    patches, labels = make_patches()
    encoder = MultitaskEncoder(
        max_steps=EPOCHS * STEPS,
        eval_every=STEPS,
        augmentation=augmentation,
        validation_fraction=None,
        precision="float32",  # as the others
        device="cpu",
        random_state=0,
    ).fit(patches, labels)
    return per_second([row["dur"] for row in encoder.history_], BATCH * STEPS)


def make_step(memory_format):
    """A training step on float patches (-1 to 1) in blocks by task, and the network."""
    import torch
    from torch.nn.functional import cross_entropy

    from sknic.encoders.networks import Head, new_encoder

    network = new_encoder().to(memory_format=memory_format)
    heads = torch.nn.ModuleList(Head(128, 2) for _ in range(N_TASKS))
    optimizer = torch.optim.Adam([*network.parameters(), *heads.parameters()], lr=1e-3, fused=True)

    def step(x, y):
        codes = network(x.contiguous(memory_format=memory_format)).chunk(N_TASKS)
        loss = sum(cross_entropy(head(code), part) for head, code, part in zip(heads, codes, y.chunk(N_TASKS)))
        optimizer.zero_grad()
        (loss / N_TASKS).backward()
        optimizer.step()
        return loss.item()

    return step


def run_plain(augmentation):
    import torch

    patches, labels = make_patches()
    augment, step = preset(augmentation), make_step(torch.contiguous_format)

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(patches)

        def __getitem__(self, i):
            return torch.from_numpy(patches[i]).permute(2, 0, 1).float() / 255, int(labels[i].max())

    loader = torch.utils.data.DataLoader(Rows(), batch_size=BATCH, shuffle=True)
    return epochs(lambda: [step(augment(x) * 2 - 1, y) for x, y in loader])


def run_tuned(augmentation):
    import torch

    patches, labels = make_patches()
    patches, y = torch.from_numpy(patches), torch.from_numpy(labels.max(1))
    augment, step = preset(augmentation), make_step(torch.channels_last)

    def epoch():
        for rows in torch.randperm(len(patches)).split(BATCH):
            step(augment(patches[rows].permute(0, 3, 1, 2).float() / 255) * 2 - 1, y[rows])

    return epochs(epoch)


def run_step(augmentation):
    import torch

    step = make_step(torch.channels_last)
    x, y = torch.rand(BATCH, 3, 64, 64), torch.arange(BATCH) % 2
    return epochs(lambda: [step(x, y) for _ in range(STEPS)])


def run_augmentation(augmentation):
    import torch

    augment, x = preset(augmentation), torch.rand(BATCH, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    return epochs(lambda: [augment(x) for _ in range(STEPS)])


def run_map(augmentation):
    from sknic import MultitaskEncoder

    path = work_dir("encoders") / "map.npy"
    if not path.exists():
        np.lib.format.open_memmap(path, "w+", np.uint8, (MAP_PATCHES, 64, 64, 3)).flush()
    patches = np.load(path, mmap_mode="r")
    labels = np.full((MAP_PATCHES, N_TASKS), -1)
    rows = np.arange(0, MAP_PATCHES, 32)
    labels[rows, rows // 32 % N_TASKS] = rows // 128 % 2
    encoder = MultitaskEncoder(max_steps=64, eval_every=64, augmentation=augmentation, device="cpu", random_state=0)
    encoder.fit(patches, labels)
    (row,) = encoder.history_
    return {"patches/s": row["patches_per_s"]}


def run_embedding(memory_format):
    """Patches/s of `transform`, or of the eager network in a memory format; and its embeddings."""
    import torch

    from sknic import load_encoder

    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"), device="cpu")
    patches = np.load(work_dir("encoders") / "patches.npy", mmap_mode="r")[:N_EMBEDDED].copy()
    network = encoder.network_.eval().to(memory_format=getattr(torch, memory_format or "contiguous_format"))

    def eager():
        with torch.inference_mode():
            parts = torch.from_numpy(patches).split(256)
            return torch.cat([network(part.permute(0, 3, 1, 2).float() / 127.5 - 1) for part in parts]).numpy()

    embed = eager if memory_format else lambda: encoder.transform(patches)
    result = epochs(embed, N_EMBEDDED)
    reference = encoder.network_.double().eval()
    with torch.inference_mode():
        exact = reference(torch.from_numpy(patches[:256]).permute(0, 3, 1, 2).double() / 127.5 - 1).numpy()
    network.float()
    error = np.linalg.norm(embed()[:256] - exact) / np.linalg.norm(exact)
    return {**result, "relative error": float(error)}


def epochs(one, n=BATCH * STEPS):
    seconds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        one()
        seconds.append(time.perf_counter() - started)
    return per_second(seconds, n)


def per_second(seconds, n):
    return {"patches/s": n / statistics.median(seconds[1:])}


# By question: way -> (function, its argument). Each way's speed is compared with the first of its question.
WAYS = {
    "training, no augmentation": {
        "MultitaskEncoder": (run_sknic, None),
        "plain loop": (run_plain, None),
        "tuned loop": (run_tuned, None),
        "step on one batch": (run_step, None),
    },
    "training, heavy augmentation": {
        "MultitaskEncoder": (run_sknic, "heavy"),
        "plain loop": (run_plain, "heavy"),
        "tuned loop": (run_tuned, "heavy"),
        "augmentation alone": (run_augmentation, "heavy"),
    },
    "training on a 4 GB memory map": {"MultitaskEncoder": (run_map, "heavy")},
    "embedding": {
        "transform": (run_embedding, None),
        "eager, batch 256": (run_embedding, "contiguous_format"),
        "eager, channels last, batch 256": (run_embedding, "channels_last"),
    },
}


def one_run(question, way, threads):
    """Run in this process; print patches/s, relative error where there is one, and peak MB as JSON."""
    import torch

    torch.set_num_threads(threads)
    function, argument = WAYS[question][way]
    result = function(argument)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"relative error": "", **result, "peak MB": peak}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("QUESTION", "WAY"))
    parser.add_argument("--only", nargs="+", metavar="QUESTION", default=list(WAYS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way; those already kept count")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were kept")
    options = parser.parse_args()
    if options.one:
        one_run(*options.one, options.threads)
        return
    kept = work_dir("encoders") / f"speed-{options.threads}.json"
    runs = json.loads(kept.read_text()) if kept.exists() and not options.fresh else {}
    for question in options.only:
        rounds = 1 if "map" in question else options.rounds
        while len(runs.setdefault(question, [])) < rounds:
            ways = WAYS[question]
            runs[question].append({way: _measured(question, way, options.threads) for way in ways})
            kept.write_text(json.dumps(runs))
    rows = [row for question in WAYS if runs.get(question) for row in _rows(question, runs[question])]
    report("encoders_speed", rows, f"Encoders of 64 px patches, {options.threads} threads")


def _measured(question, way, threads):
    return in_fresh_process("benchmarks.encoders_speed", "--one", question, way, "--threads", threads)


def _rows(question, runs):
    medians = {
        way: {
            key: statistics.median(run[way][key] for run in runs) if runs[0][way][key] != "" else ""
            for key in runs[0][way]
        }
        for way in WAYS[question]
    }
    first = next(iter(medians.values()))
    return [
        {
            "question": question,
            "way": way,
            "patches/s": found["patches/s"],
            "ours is x times as fast": first["patches/s"] / found["patches/s"],
            "relative error": found["relative error"],
            "peak MB": found["peak MB"],
            "runs": len(runs),
        }
        for way, found in medians.items()
    ]


if __name__ == "__main__":
    main()
