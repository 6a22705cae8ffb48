"""
What augmentation does to a patch
=================================

Colors differ between scanners and laboratories. An encoder that has seen the same tissue in many colors learns to
recognize the tissue. Each row below is one step of the paper's augmentation, each column one random draw.
"""

# %%
# An ``Augmentation`` takes a batch of patches as a float tensor from 0 to 1. The presets have names such as
# ``augmentation="heavy"``.

import matplotlib.pyplot as plt
import torch

from sknic import datasets
from sknic.encoders.augmentation import PRESETS, Augmentation

heavy = PRESETS["heavy"]
rows = {
    "flip": Augmentation(),
    "scale": Augmentation(flip=False, scale=heavy.scale),
    "elastic": Augmentation(flip=False, elastic_alpha=heavy.elastic_alpha, elastic_sigma=heavy.elastic_sigma),
    "HED stain": Augmentation(flip=False, hed=heavy.hed),
    "hue, saturation": Augmentation(flip=False, hue=heavy.hue, saturation=heavy.saturation),
    "brightness": Augmentation(flip=False, brightness=heavy.brightness),
    "contrast": Augmentation(flip=False, contrast=heavy.contrast),
    "noise": Augmentation(flip=False, noise=heavy.noise),
    **{f'preset "{name}"': preset for name, preset in PRESETS.items()},
}

# %%
# One patch of synthetic tumour, with eight draws of each step.

data = datasets.make_patch_tasks(64, random_state=3)
patch = data.patches[(data.labels["colorectal"] == "tumour").to_numpy().argmax()]
batch = torch.from_numpy(patch).permute(2, 0, 1).float().div(255).repeat(8, 1, 1, 1)
generator = torch.Generator().manual_seed(0)

figure, axes = plt.subplots(len(rows), 9, figsize=(9, len(rows)), gridspec_kw={"wspace": 0.04, "hspace": 0.04})
for row, (name, change) in zip(axes, rows.items()):
    row[0].text(1, 0.5, name, ha="right", va="center", fontsize=9)
    row[0].axis("off")
    for ax, image in zip(row[1:], change(batch, generator)):
        ax.imshow(image.permute(1, 2, 0).numpy())
        ax.axis("off")
figure.subplots_adjust(left=0.01, right=0.995, top=0.995, bottom=0.005)
plt.show()
