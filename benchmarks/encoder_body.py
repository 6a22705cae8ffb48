"""Does another body, another length of the code, or another range of scales make the encoder of six tasks better?

Each is trained on all six tasks and evaluated by a linear probe on held-out sources; differences to the residual body
with scales of 0.75 to 1.33 are paired by source. The last table shows the cost of a patch: multiplications of the
convolutions and the code, which is what compression pays for, and patches per CPU second (medians, interleaved).
"""

import statistics
import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks.common import report
from benchmarks.short_trainings import SCHEDULE, compare_trainings
from benchmarks.train_encoder import NAMES_OF_TASKS, Recipe
from sknic.encoders.inference import folded_embedder
from sknic.encoders.network_encoder import SCALE, SHIFT
from sknic.encoders.networks import new_encoder
from sknic.learning.device import torch_threads

RESIDUAL = "residual body"
BODIES = {
    RESIDUAL: {"body": "residual"},
    "the paper's body": {},
    "filters 64, 128, 256, 256": {"filters": (64, 128, 256, 256)},
    "filters 64, 128, 256, 512": {"filters": (64, 128, 256, 512)},
    "filters 192, 192, 192, 192": {"filters": (192, 192, 192, 192)},
    "code of 256": {"code_size": 256},
}
SCALES = {"residual body, no change of scale": None, "residual body, scales 0.5 to 2": (0.5, 2.0)}


def variants():
    """Name -> Recipe, what is compared first."""
    found = {name: Recipe(NAMES_OF_TASKS, {**SCHEDULE, **settings}) for name, settings in BODIES.items()}
    residual = found[RESIDUAL]
    for name, scale in SCALES.items():
        found[name] = replace(residual, augmentation={**residual.augmentation, "scale": scale})
    return found


def costs():
    """A row for each body: millions of multiplications per patch of 64 px and of weights, and patches per second."""
    networks = {
        name: new_encoder(body.get("code_size", 128), 64, body.get("body", "plain"), body.get("filters")).eval()
        for name, body in BODIES.items()
    }
    rows = {
        name: {
            "body": name,
            "multiplications, million": multiplications(network) / 1e6,
            "weights, million": sum(weight.numel() for weight in network.parameters()) / 1e6,
        }
        for name, network in networks.items()
    }
    for precision in ("float32", "bfloat16"):
        for name, speed in speeds(networks, precision).items():
            rows[name][f"patches per CPU second, {precision}"] = round(speed)
    return list(rows.values())


def speeds(networks, precision, n_patches=512, n_rounds=5):
    """Patches per CPU second of each network on one thread, the median of interleaved rounds."""
    patches = np.random.default_rng(0).integers(0, 256, (n_patches, 64, 64, 3), dtype=np.uint8)
    embedders = {
        name: folded_embedder(network, SCALE, SHIFT, network.out_features, 64, "cpu", precision)
        for name, network in networks.items()
    }
    seconds = {name: [] for name in embedders}
    with torch_threads(1):
        for _ in range(n_rounds):
            for name, embed in embedders.items():
                started = time.process_time()
                embed(patches)
                seconds[name].append(time.process_time() - started)
    return {name: n_patches / statistics.median(found) for name, found in seconds.items()}


def multiplications(network, size=64):
    """Multiplications of all convolutions and linear layers for one patch."""
    counts, hooks = [], []

    def count(layer, _, output):
        counts.append(layer.weight.numel() * output[0].numel() // layer.weight.shape[0])

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            hooks.append(layer.register_forward_hook(count))
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return sum(counts)


def main(argv=None):
    compare_trainings("encoder_body", variants(), argv, what=RESIDUAL)
    report("encoder_body_cost", costs(), "Per patch of 64 px")


if __name__ == "__main__":
    main()
