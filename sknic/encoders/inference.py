"""Fast inference with a trained network: BatchNorm and pixel scaling are folded away, small batches, no copies."""

import copy
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from sknic.encoders.networks import Chain, Flatten, GlobalAverage, Residual
from sknic.exceptions import PatchSizeError

# Patches whose pixels are looked at before a training.
N_LOOKED_AT = 64
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# On a CPU 16 to 32 patches keep the activations in cache; a GPU wants much more at once.
CPU_BATCH, GPU_BATCH = 32, 1024


class Affine(nn.Module):
    """x * scale + shift per channel, of images or of what `Flatten` made of them."""

    def __init__(self, scale, shift):
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x):
        if x.ndim == 2:
            return (x.unflatten(1, (-1, len(self.scale))) * self.scale + self.shift).flatten(1)
        return x * self.scale[:, None, None] + self.shift[:, None, None]


def fold(network, scale=None, shift=None):
    """Return an equal network for inference without BatchNorm layers, computed in float64.

    A BatchNorm is folded into the convolution or linear layer before it, or else after it, or else becomes an `Affine`.

    Parameters
    ----------
    network : Chain
        Left as it is.
    scale, shift : float tensors (3,), optional
        The network expects pixels (0 to 255) * scale + shift; folded as well.

    Returns
    -------
    torch.nn.Sequential
        float32, in evaluation mode.
    """
    layers = []
    pending = None if scale is None else (scale.double(), shift.double())
    for layer in copy.deepcopy(network).double().cpu().eval():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            if pending is None and layers and isinstance(layers[-1], nn.Conv2d | nn.Linear):
                _fold_back(layers[-1], *_affine_of(layer))
                continue
            pending = _after(pending, _affine_of(layer))
        elif pending is not None and _takes(layer):
            _fold_forward(layer, *pending)
            pending = None
            layers.append(layer)
        elif isinstance(layer, Flatten | GlobalAverage):
            layers.append(layer)
        else:
            if pending is not None:
                layers.append(Affine(*pending))
                pending = None
            if isinstance(layer, Residual):
                _fold_inside(layer)
            layers.append(layer)
    if pending is not None:
        layers.append(Affine(*pending))
    for layer in layers:
        if hasattr(layer, "inplace"):
            layer.inplace = True
    return nn.Sequential(*layers).float().eval().requires_grad_(False)


def _affine_of(norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale.detach(), (norm.bias - norm.running_mean * scale).detach()


def _after(first, second):
    """One affine map for `first`, then `second`."""
    return second if first is None else (first[0] * second[0], first[1] * second[0] + second[1])


def _takes(layer):
    """Whether an affine map before a layer can be folded into it: zero padding would have to become -shift / scale."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.padding in (0, (0, 0)))


def _fold_forward(layer, scale, shift):
    weight = layer.weight.data
    if isinstance(layer, nn.Linear):
        places = weight.shape[1] // len(scale)
        scale, shift = scale.repeat(places), shift.repeat(places)
        bias, weight = weight @ shift, weight * scale
    else:
        bias, weight = torch.einsum("oihw,i->o", weight, shift), weight * scale[:, None, None]
    layer.weight.data = weight
    layer.bias.data = layer.bias.data + bias


def _fold_back(layer, scale, shift):
    layer.weight.data = layer.weight.data * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.data = layer.bias.data * scale + shift


def _fold_inside(block):
    """Fold both BatchNorms of a residual block into its convolutions."""
    _fold_back(block.conv1, *_affine_of(block.norm1))
    _fold_back(block.conv2, *_affine_of(block.norm2))
    block.norm1, block.norm2 = nn.Identity(), nn.Identity()


class MiddleInHalf(nn.Module):
    """A folded network whose first and last weights compute in float32 and everything between in another type.

    Pixels and embeddings have more digits than bfloat16: with these two layers in float32, only a fifth to a half of
    the error remains, at the cost of a tenth of the time.

    Parameters
    ----------
    network : torch.nn.Sequential
        Network of :func:`fold`.
    dtype : torch.dtype
        Type of the middle.
    """

    def __init__(self, network, dtype):
        super().__init__()
        layers = list(network)
        weighted = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d | nn.Linear | Residual)]
        has_middle = len(weighted) > 2
        first, last = (weighted[0] + 1, weighted[-1]) if has_middle else (len(layers), len(layers))
        self.dtype = dtype if has_middle else torch.float32
        self.first, self.last = nn.Sequential(*layers[:first]), nn.Sequential(*layers[last:])
        self.middle = nn.Sequential(*layers[first:last]).to(dtype)

    def forward(self, pixels):
        return self.last(self.middle(self.first(pixels).to(self.dtype)).float())


def check_patches(patches, sizes=None):
    """Return `patches` if they are uint8 (n, size, size, 3) with a size among `sizes`.

    Raises
    ------
    PatchSizeError
    """
    if not isinstance(patches, np.ndarray):
        patches = np.asarray(patches)
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1] != patches.shape[2] or patches.shape[3] != 3:
        raise PatchSizeError(
            f"patches of shape {patches.shape} and type {patches.dtype}: expected uint8 (n, size, size, 3), RGB"
        )
    if sizes is not None and patches.shape[1] not in sizes:
        raise PatchSizeError(
            f"patches are {patches.shape[1]} px wide; this encoder takes {' or '.join(map(str, sizes))} px"
        )
    return patches


def check_training_patches(patches):
    """Return `patches` if `check_patches` takes them and their pixels are more than zeros and ones.

    Raises
    ------
    PatchSizeError
    """
    patches = check_patches(patches)
    looked_at = np.unique(np.linspace(0, len(patches) - 1, min(len(patches), N_LOOKED_AT)).astype(int))
    if len(patches) and max(patches[row].max() for row in looked_at) <= 1:
        raise PatchSizeError(
            "pixels of the patches are 0 or 1: expected 0 to 255; fractions have to be multiplied by 255 before they "
            "are cast to uint8"
        )
    return patches


def to_pixels(patches, input_size=None):
    """Float tensor (n, 3, size, size), channels last, of uint8 patches (n, size, size, 3), still 0 to 255.

    Patches of twice `input_size` are averaged 2x2: integer sums are exact, so nothing is rounded before the network.
    """
    n, height, width, _ = patches.shape
    if input_size is None or height != 2 * input_size:
        return patches.permute(0, 3, 1, 2).float()
    rows = patches.reshape(n, height // 2, 2, width * 3)
    rows = (rows[:, :, 0].short() + rows[:, :, 1]).reshape(n, height // 2, width // 2, 2, 3)
    return (rows[:, :, :, 0] + rows[:, :, :, 1]).permute(0, 3, 1, 2).float().div_(4)


def precision_type(precision):
    """Return the torch.dtype of a precision by name.

    Raises
    ------
    ValueError
        For another name.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r}: expected {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


class Embedder:
    """A stateless function from patches to embeddings that can be shared between threads.

    Parameters
    ----------
    network : torch.nn.Module
        Takes pixels, float (n, 3, size, size), 0 to 255.
    code_size, input_size : int or None
        Patches of twice `input_size` are averaged 2x2; None takes every size.
    device : str or torch.device
    precision : "float32", "bfloat16" or "float16"
        Type of the network, and of the pixels that it gets.
    batch_size : int, optional
        Patches at once; chosen by the device.
    """

    def __init__(self, network, code_size, input_size, device="cpu", precision="float32", batch_size=None):
        self.device = torch.device(device)
        self.dtype = precision_type(precision)
        self.network = network.to(self.device, self.dtype, memory_format=torch.channels_last)
        self.code_size = code_size
        self.input_size = input_size
        self.batch_size = batch_size or (CPU_BATCH if self.device.type == "cpu" else GPU_BATCH)

    def __call__(self, patches):
        """Embed uint8 patches (n, size, size, 3); float32 (n, C).

        Raises
        ------
        PatchSizeError
            For patches of another shape, size or type.
        """
        sizes = None if self.input_size is None else (self.input_size, 2 * self.input_size)
        patches = check_patches(patches, sizes)
        embeddings = np.empty((len(patches), self.code_size), np.float32)
        with torch.inference_mode(), self._exact():
            for start in range(0, len(patches), self.batch_size):
                batch = np.require(patches[start : start + self.batch_size], requirements=["C", "W"])
                pixels = to_pixels(self._on_device(torch.from_numpy(batch)), self.input_size)
                embeddings[start : start + len(batch)] = self.network(pixels.to(self.dtype)).float().cpu().numpy()
        return embeddings

    def _on_device(self, batch):
        """From pinned memory, patches are copied to a GPU while it computes."""
        return batch if self.device.type == "cpu" else batch.pin_memory().to(self.device, non_blocking=True)

    def _exact(self):
        """On CUDA, use true float32 for convolutions: TensorFloat-32, cuDNN's default, has errors of a thousandth."""
        if self.device.type != "cuda" or self.dtype is not torch.float32:
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def folded_embedder(network: Chain, scale, shift, code_size, input_size, device, precision):
    """An `Embedder` of a chain that expects pixels * scale + shift."""
    folded = fold(network, torch.as_tensor(scale), torch.as_tensor(shift))
    embedder = Embedder(folded, code_size, input_size, device)
    if precision != "float32":
        embedder.network = MiddleInHalf(embedder.network, precision_type(precision))
    return embedder
