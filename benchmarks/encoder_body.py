"""Does another body, another length of the code, or another range of scales make the encoder of six tasks better?

Each is trained on all six tasks and evaluated by a linear probe on held-out sources; differences to the residual body
with scales of 0.75 to 1.33 are paired by source. The last table shows the cost of a patch: multiplications of the
convolutions and the code, which is what compression pays for.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks.common import report
from benchmarks.short_trainings import SCHEDULE, compare_trainings
from benchmarks.train_encoder import NAMES_OF_TASKS, Recipe
from sknic.encoders.networks import new_encoder

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


def cost(name, settings):
    """Row of a table: millions of multiplications per patch of 64 px, and of weights."""
    network = new_encoder(settings.get("code_size", 128), 64, settings.get("body", "plain"), settings.get("filters"))
    weights = sum(np.prod(weight.shape) for weight in network.parameters())
    millions = {"multiplications, million": multiplications(network) / 1e6, "weights, million": weights / 1e6}
    return {"body": name, **millions}


def multiplications(network, size=64):
    """Multiplications of all convolutions and linear layers for one patch."""
    counts = []

    def count(layer, _, output):
        counts.append(layer.weight.numel() * output[0].numel() // layer.weight.shape[0])

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, size, size))
    return sum(counts)


def main(argv=None):
    compare_trainings("encoder_body", variants(), argv, what=RESIDUAL)
    report("encoder_body_cost", [cost(name, body) for name, body in BODIES.items()], "Per patch")


if __name__ == "__main__":
    main()
