"""Augmentation of whole batches of patches, one draw per patch, on the device where the batch is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skimage.color import hed_from_rgb, rgb_from_hed

# On a CPU so few patches stay in its cache from step to step: a third less time than all at once.
CPU_BATCH = 32
LUMA = (0.299, 0.587, 0.114)
# Pixels beyond these are not noise or contrast without a limit, but 0 to 255 or normalized for another network.
LOWEST, HIGHEST = -0.5, 2.0


@dataclass(frozen=True)
class Augmentation:
    """Random changes of color and shape, drawn for each patch (paper, section 3; Tellez 2019, MedIA).

    Parameters
    ----------
    flip : bool
        Whether to apply quarter turns and mirrors, all eight with equal probability.
    scale : (float, float), optional
        Range of the magnification.
    elastic_alpha, elastic_sigma : (float, float), optional
        Ranges of strength and smoothness in px of an elastic deformation.
    hed : float
        Each stain s (hematoxylin, eosin, DAB) becomes s * (1 + U(-hed, hed)) + U(-hed, hed). Stains are optical
        densities, -log10(max(rgb, 1e-6)) unmixed; scikit-image's `rgb2hed` gives a sixth of them.
    hue, saturation : float
        Hue moves by U(-hue, hue) of the circle; saturation s becomes s * (1 + u) for u < 0 and s * (1 + (1 - s) * u)
        else, u from U(-saturation, saturation).
    brightness, contrast : (float, float), optional
        Ranges of the factor on the pixels, and on their distance from the patch's mean gray.
    blur : (float, float), optional
        Range of the Gaussian's sigma in px.
    noise : (float, float), optional
        Range of the sigma of Gaussian noise, for pixels from 0 to 1.
    """

    flip: bool = True
    scale: tuple[float, float] | None = None
    elastic_alpha: tuple[float, float] | None = None
    elastic_sigma: tuple[float, float] | None = None
    hed: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    brightness: tuple[float, float] | None = None
    contrast: tuple[float, float] | None = None
    blur: tuple[float, float] | None = None
    noise: tuple[float, float] | None = None

    def __call__(self, x, generator=None):
        """Augment patches.

        Parameters
        ----------
        x : float32 tensor (n, 3, size, size), 0 to 1
            Patches, which are not changed.
        generator : torch.Generator, optional
            On the device of `x`; torch's own by default.

        Returns
        -------
        float32 tensor (n, 3, size, size), 0 to 1
        """
        # Colors need more than the eight bits of bfloat16.
        with torch.autocast(x.device.type, enabled=False), torch.no_grad():
            if x.device.type != "cpu" or len(x) <= CPU_BATCH:
                return self._augment(x, generator)
            return torch.cat([self._augment(part, generator) for part in x.split(CPU_BATCH)])

    def _augment(self, x, generator):
        draw = _Draw(x, generator)
        x = self._move(x, draw)
        x = self._stain(x, draw)
        x = self._color(x, draw)
        return self._degrade(x, draw).clamp_(0, 1)

    def _move(self, x, draw):
        if self.scale is None and self.elastic_alpha is None:
            return flip(x, draw.whole(8)) if self.flip else x
        grid = base_grid(x)
        if self.scale is not None:
            grid = grid / draw(self.scale)[:, None, None, None]
        if self.elastic_alpha is not None:
            grid = grid + elastic(x, draw(self.elastic_alpha), draw(self.elastic_sigma), draw)
        if self.flip:
            grid = flip_grid(grid, draw.whole(8))
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)

    def _stain(self, x, draw):
        if not self.hed:
            return x
        span = (-self.hed, self.hed)
        return stain(x, 1 + draw(span, 3), draw(span, 3))

    def _color(self, x, draw):
        if self.hue or self.saturation:
            x = hue_saturation(x, draw((-self.hue, self.hue)), draw((-self.saturation, self.saturation)))
        if self.brightness is not None:
            x = x * draw(self.brightness)[:, None, None, None]
        if self.contrast is not None:
            mean = (x.mean((2, 3)) @ x.new_tensor(LUMA))[:, None, None, None]
            x = torch.lerp(mean, x, draw(self.contrast)[:, None, None, None])
        return x

    def _degrade(self, x, draw):
        # Below 0.2 px a neighbor's weight is under 4e-6: nothing to compute.
        if self.blur is not None and self.blur[1] > 0.2:
            x = blur(x, draw(self.blur))
        if self.noise is not None:
            x = x + draw.normal(x) * draw(self.noise)[:, None, None, None]
        return x


class _Draw:
    """Random numbers, one or more per patch of a batch."""

    def __init__(self, x, generator):
        self.n, self.device, self.generator = len(x), x.device, generator

    def __call__(self, span, *shape):
        low, high = span
        return low + (high - low) * torch.rand(self.n, *shape, device=self.device, generator=self.generator)

    def whole(self, end):
        return torch.randint(end, (self.n,), device=self.device, generator=self.generator)

    def normal(self, x):
        return torch.randn(x.shape, device=self.device, generator=self.generator)


def flip(x, k):
    """Orientation k (n,) of each patch: k % 4 quarter turns, after a mirror if k >= 4."""
    out = torch.empty_like(x)
    for orientation in range(8):
        rows = k == orientation
        part = x[rows]
        part = part.flip(3) if orientation >= 4 else part
        out[rows] = part.rot90(orientation % 4, (2, 3))
    return out


def base_grid(x):
    """Positions of the pixels for `grid_sample`, (n, size, size, 2), from -1 to 1, x before y."""
    size = x.shape[2]
    ticks = (torch.arange(size, device=x.device) + 0.5) * (2 / size) - 1
    rows, columns = torch.meshgrid(ticks, ticks, indexing="ij")
    return torch.stack([columns, rows], -1).expand(len(x), size, size, 2)


def flip_grid(grid, k):
    """Rotate and mirror the positions at which each patch is sampled, by k (n,) from 0 to 7."""
    signs = torch.stack([1 - 2 * (k & 1), 1 - (k & 2)], -1)[:, None, None].to(grid.dtype)
    swapped = torch.where((k >= 4)[:, None, None, None], grid.flip(-1), grid)
    return swapped * signs


def gaussian_matrix(size, sigma):
    """Matrices (n, size, size) that blur a line of pixels by sigma (n,) px; each row sums to 1."""
    places = torch.arange(size, device=sigma.device)
    distance = (places[:, None] - places).square()
    return torch.softmax(-distance / (2 * sigma[:, None, None].clamp(min=1e-3).square()), -1)


def blur(x, sigma):
    """Gaussian blur by sigma (n,) px, renormalized at the edges."""
    matrix = gaussian_matrix(x.shape[2], sigma)[:, None]
    return matrix @ x @ matrix.mT


def elastic(x, alpha, sigma, draw):
    """Displacements (n, size, size, 2) for `grid_sample`: noise blurred by sigma px, times alpha px (Simard 2003)."""
    size = x.shape[2]
    noise = draw((-1, 1), 2, size, size)
    field = blur(noise, sigma) * (alpha * 2 / size)[:, None, None, None]
    return field.permute(0, 2, 3, 1)


def optical_density(x):
    """-log10 of pixels from 0 to 1."""
    return -x.clamp(min=1e-6).log10()


def stain(x, factor, shift):
    """Change the stains of patches: hematoxylin, eosin and DAB become stain * factor + shift, both (n, 3)."""
    unmix, mix = (x.new_tensor(np.asarray(matrix, np.float32)) for matrix in (hed_from_rgb, rgb_from_hed))
    # Unmixing, changing and mixing are linear in the optical density: one 3x3 matrix and one shift per patch.
    matrix = (unmix * factor[:, None, :]) @ mix
    density = optical_density(x).flatten(2)
    density = torch.baddbmm((shift @ mix)[:, :, None], matrix.mT, density)
    return torch.pow(10.0, -density).view(x.shape).clamp_(0, 1)


def to_hsv(x):
    """Hue (0 to 1), saturation and value, each (n, size, size), of pixels from 0 to 1."""
    red, green, blue = x.unbind(1)
    value, low = x.amax(1), x.amin(1)
    delta = value - low
    safe = delta.clamp(min=1e-8)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return (hue / 6) % 1, delta / value.clamp(min=1e-8), value


def from_hsv(hue, saturation, value):
    """Pixels (n, 3, size, size) from hue (any real), saturation and value."""
    sector = hue[:, None] * 6 + hue.new_tensor([5.0, 3.0, 1.0])[:, None, None]
    sector = sector % 6
    ramp = torch.minimum(sector, 4 - sector).clamp_(0, 1)
    return value[:, None] - (value * saturation)[:, None] * ramp


def hue_saturation(x, hue_shift, saturation_shift):
    """Shift hue and saturation of pixels from 0 to 1 by shifts (n,)."""
    hue, saturation, value = to_hsv(x)
    shift = saturation_shift[:, None, None]
    saturation = saturation * (1 + shift * torch.where(shift < 0, 1, 1 - saturation))
    return from_hsv(hue + hue_shift[:, None, None], saturation, value)


_SHAPE: dict[str, Any] = {
    "scale": (0.8, 1.2),
    "elastic_alpha": (80.0, 120.0),
    "elastic_sigma": (9.0, 11.0),
    "noise": (0.0, 0.1),
    "blur": (0.0, 0.1),
}
_TONE: dict[str, Any] = {"brightness": (0.65, 1.35), "contrast": (0.5, 1.5)}
# "heavy" is the paper's; "light" leaves shape, brightness and contrast alone; "strong" goes further in color; "mild"
# does a little of all, for few patches whose color tells the classes apart.
PRESETS = {
    "mild": Augmentation(
        scale=(0.9, 1.1), hue=0.02, saturation=0.05, hed=0.02, brightness=(0.9, 1.1), contrast=(0.9, 1.1)
    ),
    "light": Augmentation(hue=0.1, saturation=0.1, hed=0.05),
    "heavy": Augmentation(hue=0.1, saturation=0.1, hed=0.05, **_SHAPE, **_TONE),
    "strong": Augmentation(hue=1.0, saturation=1.0, hed=0.2, **_SHAPE, **_TONE),
}


@dataclass(frozen=True)
class Checked:
    """An augmentation of the user, whose result is looked at: pixels of another range would be learnt without a word.

    Parameters
    ----------
    augment : callable
        Takes and returns float tensors (n, 3, size, size), 0 to 1.
    """

    augment: Callable

    def __call__(self, x):
        """Augment patches; ValueError for another shape or range."""
        found = self.augment(x)
        if not isinstance(found, torch.Tensor) or found.shape != x.shape or not found.is_floating_point():
            shape = tuple(found.shape) if hasattr(found, "shape") else type(found).__name__
            raise ValueError(f"augmentation returned {shape}: expected a float tensor of shape {tuple(x.shape)}")
        low, high = (float(edge) for edge in found.aminmax())
        if not (low >= LOWEST and high <= HIGHEST):
            raise ValueError(f"augmentation returned pixels from {low:.4g} to {high:.4g}: expected 0 to 1, as it gets")
        return found


def resolve_augmentation(augmentation):
    """Return the callable for a preset's name, a callable or None.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if augmentation is None or isinstance(augmentation, Augmentation):
        return augmentation
    if callable(augmentation):
        return Checked(augmentation)
    if augmentation not in PRESETS:
        names = ", ".join(map(repr, PRESETS))
        raise ValueError(f"augmentation={augmentation!r}: expected {names}, a callable or None")
    return PRESETS[augmentation]
