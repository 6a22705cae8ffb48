"""The networks that take a crop of a grid: the paper's CNN, and attention over a bag of its cells."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional

N_STRIDED, N_LAYERS = 6, 8
# Number of channels that the pooled branch learns from at each step; it does without the others. A slide has one mean
# embedding, which turning and placing the slide do not change, so nothing else keeps it from being learnt by heart.
BRANCH_CHANNELS = 16
# The same of the hot-spot branch, and what it looks for: so many maps of the cells, averaged over squares of this side.
HOTSPOT_CHANNELS, HOTSPOT_MAPS, HOTSPOT_CELLS = 32, 32, 5
# Its outputs count so much, which makes it learn slowly: at full weight it explains a few slides, by heart, before the
# CNN has learnt anything, and leaves it nothing to learn.
HOTSPOT_WEIGHT = 0.1
# What a standardized density or mean approaches in the branch, however large it is.
HOTSPOT_BOUND = 3.0


def _min_valid_canvas():
    size = 1
    for layer in reversed(range(N_LAYERS)):
        size = (size - 1) * (2 if layer < N_STRIDED else 1) + 3
    return size


# Smallest canvas, in cells, of which eight convolutions with valid padding leave one position.
MIN_VALID_CANVAS = _min_valid_canvas()


class SeparableBlock(nn.Module):
    """Depthwise 3x3 and pointwise convolution, BatchNorm, leaky ReLU and dropout of whole features."""

    def __init__(self, n_inputs, n_filters, stride, padding, dropout):
        super().__init__()
        self.depthwise = nn.Conv2d(n_inputs, n_inputs, 3, stride, padding, groups=n_inputs, bias=False)
        self.pointwise = nn.Conv2d(n_inputs, n_filters, 1, bias=False)
        self.norm = nn.BatchNorm2d(n_filters)
        self.activation = nn.LeakyReLU(0.2, inplace=True)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x, tissue=None):
        features = self.pointwise(self.depthwise(x))
        if tissue is None:
            return self.dropout(self.activation(self.norm(features)))
        return self.dropout(self._of_tissue(features, tissue[:, 0]))

    def positions(self, tissue):
        """Which positions of the output stand for tissue, of float (n, 1, rows, columns) of the input."""
        edge = 1 - self.depthwise.padding[0]  # cells at the edge have no position without padding
        inner = tissue[:, :, edge : tissue.shape[2] - edge, edge : tissue.shape[3] - edge]
        return functional.max_pool2d(inner, self.depthwise.stride, ceil_mode=True)

    def _of_tissue(self, x, tissue):
        """BatchNorm and activation of the positions with tissue; the others are zero."""
        norm, rows = self.norm, x.permute(0, 2, 3, 1)
        cells, kept = rows.reshape(-1, rows.shape[3]), (tissue > 0).flatten().nonzero()[:, 0]
        values = functional.batch_norm(
            cells[kept], norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum
        )
        found = torch.zeros_like(cells).index_copy(0, kept, self.activation(values).to(cells.dtype))
        return found.reshape(rows.shape).permute(0, 3, 1, 2)


class HotspotBranch(nn.Module):
    """Outputs from what is densest in one place: maps of the cells, averaged over squares, at the maximum of each.

    A CNN that sums up a whole slide learns from many slides, and slowly, that one small region decides, as it does
    where mitoses are counted. The mean of each map over the tissue stands beside its maximum: where an amount of tissue
    decides, the maxima alone learn a few slides by heart. The outputs start at zero.

    Parameters
    ----------
    n_channels : int
        Length C of an embedding.
    n_outputs : int
        Number of outputs.
    dropout : float
        Fraction of the maxima and means that are dropped.
    """

    def __init__(self, n_channels: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.n_drawn = min(HOTSPOT_CHANNELS, n_channels)
        self.register_buffer("weight", torch.tensor(HOTSPOT_WEIGHT))
        # Without a bias background, which is zero, stays zero.
        self.map = nn.Conv2d(n_channels, HOTSPOT_MAPS, 1, bias=False)
        self.activation = nn.LeakyReLU(0.2, inplace=True)
        square = torch.full((HOTSPOT_MAPS, 1, HOTSPOT_CELLS, HOTSPOT_CELLS), 1 / HOTSPOT_CELLS**2)
        self.register_buffer("square", square, persistent=False)
        self.norm = nn.BatchNorm1d(2 * HOTSPOT_MAPS)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * HOTSPOT_MAPS, n_outputs, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map crops, float tensor (n, C, height, width), to outputs, float tensor (n, n_outputs)."""
        normalized = self._normalized(x)
        # Softly bounded: slides of another stain may lie many standard deviations from those of the training.
        bounded = normalized / (1 + normalized.abs() / HOTSPOT_BOUND)
        return self.weight * self.out(self.dropout(bounded))

    def _normalized(self, x):
        """Standardized features of all channels; while training, of those drawn for this batch."""
        n_cells = n_tissue_cells(x)
        draws = self.training and self.n_drawn < x.shape[1]
        if self.training:
            # From equal weights to a moving average: a training may end after some dozens of batches.
            self.norm.momentum = max(0.1, 1 / (1 + int(self.norm.num_batches_tracked)))
        # The running mean and variance are always those of all channels, which predictions see.
        with torch.no_grad() if draws else nullcontext():
            of_all = self.norm(self._features(self.map(x), n_cells))
        if not draws:
            return of_all
        drawn = torch.randperm(x.shape[1], device=x.device)[: self.n_drawn]
        features = self._features(functional.conv2d(x[:, drawn], self.map.weight[:, drawn]), n_cells)
        return functional.batch_norm(features, None, None, self.norm.weight, self.norm.bias, training=True)

    def _features(self, maps, n_cells):
        """Highest density and mean of each map, float tensor (n, 2 * HOTSPOT_MAPS)."""
        maps = self.activation(maps)
        # A convolution, which takes a seventh of the time of avg_pool2d.
        density = functional.conv2d(maps, self.square.to(maps.dtype), padding=HOTSPOT_CELLS // 2, groups=HOTSPOT_MAPS)
        return torch.cat([density.amax(dim=(2, 3)), maps.sum(dim=(2, 3)) / n_cells[:, None]], dim=1)


class GridCNN(nn.Module):
    """The paper's CNN on grids: eight strided separable convolutions ([1]_, appendix, "CNN architecture").

    Parameters
    ----------
    n_channels : int
        Length C of an embedding.
    n_outputs : int
        Number of outputs.
    n_filters : int, default=128
        Number of filters of each convolution.
    dropout : float, default=0.2
        Fraction of the features dropped after each block.
    padding : {"same", "valid"}, default="same"
        Padding of the convolutions. "valid" turns the 400 x 400 canvas into one position: the dense layer sees
        `n_filters` values. "same" takes a canvas of any size and averages over the remaining positions.
    pooled_branch : bool, default=False
        Whether a linear map of the mean embedding of the tissue is added to the outputs. It starts at zero, learns
        from about 16 of the channels at a time, and finds amounts of tissue, for which a CNN needs many slides; the
        paper's network does not have it.
    mask_background : bool, default=False
        Whether normalization and the final mean leave out the positions without tissue.
    hotspot_branch : bool, default=False
        Whether what is densest in one place, a square of 5 x 5 cells, is added to the outputs: the maximum and the mean
        of each of 32 maps, learnt from 32 of the channels at a time. The paper's network does not have it.

    References
    ----------
    .. [1] Tellez et al., "Extending Unsupervised Neural Image Compression With Supervised Multitask Learning",
       MIDL 2020. https://proceedings.mlr.press/v121/tellez20a.html
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        n_filters: int = 128,
        dropout: float = 0.2,
        padding: str = "same",
        pooled_branch: bool = False,
        mask_background: bool = False,
        hotspot_branch: bool = False,
    ) -> None:
        super().__init__()
        self.mask_background = mask_background
        self.blocks = nn.Sequential(
            *(
                SeparableBlock(
                    n_filters if layer else n_channels,
                    n_filters,
                    stride=2 if layer < N_STRIDED else 1,
                    padding=1 if padding == "same" else 0,
                    dropout=dropout,
                )
                for layer in range(N_LAYERS)
            )
        )
        self.head = nn.Sequential(
            nn.Linear(n_filters, 128, bias=False), nn.BatchNorm1d(128), nn.LeakyReLU(0.2), nn.Linear(128, n_outputs)
        )
        self.branch_dropout = max(0.0, 1 - BRANCH_CHANNELS / n_channels)
        self.pooled = nn.Linear(n_channels, n_outputs, bias=False) if pooled_branch else None
        if self.pooled is not None:
            nn.init.zeros_(self.pooled.weight)
        self.hotspot = HotspotBranch(n_channels, n_outputs, dropout) if hotspot_branch else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map crops to outputs.

        Parameters
        ----------
        x : float tensor (n, C, height, width)
            Crops, best in channels-last memory.

        Returns
        -------
        float tensor (n, n_outputs)
            Outputs without a link: logits, standardized numbers or log hazards.
        """
        outputs = self.head(self._mean_of_tissue(x) if self.mask_background else self.blocks(x).mean(dim=(2, 3)))
        if self.pooled is not None:
            outputs = outputs + self.pooled(functional.dropout(mean_of_tissue(x), self.branch_dropout, self.training))
        return outputs if self.hotspot is None else outputs + self.hotspot(x)

    def _mean_of_tissue(self, x):
        """Features of crops (n, n_filters), for which background is not there."""
        tissue = is_tissue(x)[:, None].float()
        for block in self.blocks:
            tissue = block.positions(tissue)
            x = block(x, tissue)
        share = tissue / tissue.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        return (x * share).sum(dim=(2, 3))


def mean_of_tissue(x: torch.Tensor) -> torch.Tensor:
    """Average the cells of crops that are not background, which is zero throughout.

    Parameters
    ----------
    x : float tensor (n, C, height, width)
        Crops.

    Returns
    -------
    float tensor (n, C)
        Means; 0 for a crop without tissue.
    """
    return x.sum(dim=(2, 3)) / n_tissue_cells(x)[:, None]


def n_tissue_cells(x: torch.Tensor) -> torch.Tensor:
    """Count the cells of crops that are not background.

    Parameters
    ----------
    x : float tensor (n, C, height, width)
        Crops.

    Returns
    -------
    int tensor (n,)
        Number of cells with tissue; 1 for a crop without, to divide by.
    """
    return is_tissue(x).sum(dim=(1, 2)).clamp(min=1)


def is_tissue(x: torch.Tensor) -> torch.Tensor:
    """Find the cells of crops that are not background, which is zero throughout.

    Parameters
    ----------
    x : float tensor (n, C, height, width)
        Crops.

    Returns
    -------
    bool tensor (n, height, width)
        Whether each cell has tissue.
    """
    # Half the time of (x != 0).any(dim=1), which writes a tensor as large as x.
    return (x.amax(dim=1) != 0) | (x.amin(dim=1) != 0)


class AttentionMIL(nn.Module):
    """Gated attention over the bag of cells [1]_, which ignores the positions of cells.

    Pass it as `module=AttentionMIL` to test what the arrangement of tissue adds.

    Parameters
    ----------
    n_channels : int
        Length C of an embedding.
    n_outputs : int
        Number of outputs.
    n_hidden : int, default=128
        Width of the hidden layer that is applied to each cell.
    n_attention : int, default=64
        Width of the attention layer.
    dropout : float, default=0.2
        Fraction of the hidden units dropped.

    References
    ----------
    .. [1] Ilse et al., "Attention-based Deep Multiple Instance Learning", ICML 2018.
    """

    def __init__(
        self, n_channels: int, n_outputs: int, n_hidden: int = 128, n_attention: int = 64, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(n_channels, n_hidden), nn.LeakyReLU(0.2), nn.Dropout(dropout))
        self.value = nn.Linear(n_hidden, n_attention)
        self.gate = nn.Linear(n_hidden, n_attention)
        self.weight = nn.Linear(n_attention, 1)
        self.head = nn.Linear(n_hidden, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map crops to outputs; cells that are all zero are background.

        Parameters
        ----------
        x : float tensor (n, C, height, width)
            Crops.

        Returns
        -------
        float tensor (n, n_outputs)
            Outputs without a link: logits, standardized numbers or log hazards.
        """
        bag = x.flatten(2).transpose(1, 2)
        tissue = is_tissue(x).flatten(1)
        cells = bag[tissue]
        owner = tissue.nonzero()[:, 0]
        hidden = self.embed(cells)
        score = self.weight(torch.tanh(self.value(hidden)) * torch.sigmoid(self.gate(hidden)))[:, 0].float()
        score = torch.exp(score - score.max().detach()) if len(score) else score
        total = torch.zeros(len(x), device=x.device).index_add(0, owner, score)
        share = (score / total[owner]).unsqueeze(1)
        pooled = hidden.new_zeros(len(x), hidden.shape[1]).index_add(0, owner, (hidden * share).to(hidden.dtype))
        return self.head(pooled)
