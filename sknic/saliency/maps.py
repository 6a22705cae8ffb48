"""Where on a slide a fitted grid estimator looks: one number per cell."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknic.estimators import GridCNN
from sknic.estimators.base import GridEstimator
from sknic.estimators.network import n_tissue_cells
from sknic.targets.kinds import fitted_learner

if TYPE_CHECKING:
    from sknic.grids import Grid


def grad_cam(estimator: Any, grid: Any, target: Any = None) -> np.ndarray:
    """Grad-CAM at the first convolution (Selvaraju et al., 2017), as the authors used it on compressed slides.

    The first convolution's features, each weighted by the mean gradient of the output with respect to it, summed, and
    cut at zero: what speaks *for* the class, for a higher number, or for a higher risk. If the network has a pooled or
    a hot-spot branch, the contribution of each cell through it is part of the sum.

    Parameters
    ----------
    estimator : fitted GridCNNClassifier, GridCNNRegressor or GridCoxSurvival
        Or a Pipeline that ends in one, a search that has fitted one, or a CrossValEnsemble, whose models' maps are
        averaged.
    grid : Grid or ndarray (C, rows, columns)
        One compressed slide. If it stores the 8 orientations of its pixels, their maps are averaged.
    target : label or int, optional
        Class to explain, by default the predicted one; or the column if there are several outputs, by default 0.

    Returns
    -------
    float32 ndarray, shape (rows, columns)
        At least 0, and 0 on background, in units of the output (log odds of the class, the target's units, log hazard).

    Raises
    ------
    ValueError
        If the estimator's module has no 2-D convolution, or the target is unknown.

    Notes
    -----
    A feature has one weight for the whole slide. If its gradient differs in sign between positions, the mean can speak
    against the very cells that caused the output; :func:`integrated_gradients` does not have this limitation.
    """
    return _explain(estimator, grid, target, _cam_of_crop)


def input_gradients(estimator: Any, grid: Grid, target: Any = None) -> np.ndarray:
    """Length of the output's gradient with respect to the embedding of each cell.

    It shows how much a small change of the cell could change the output, but not in which direction; if the output is
    saturated, it is small everywhere. :func:`integrated_gradients` is slower but has neither limitation.

    Parameters
    ----------
    estimator, grid, target
        As in :func:`grad_cam`.

    Returns
    -------
    float32 ndarray, shape (rows, columns)
        At least 0, and 0 on background.

    Raises
    ------
    ValueError
        If the target is unknown.
    """
    return _explain(estimator, grid, target, _gradient_of_crop)


def integrated_gradients(estimator: Any, grid: Grid, target: Any = None, *, n_steps: int = 16) -> np.ndarray:
    """What each cell adds to the output, by integrated gradients (Sundararajan et al., 2017).

    Gradient times embedding, averaged along the path from an empty slide to the slide. The map's sum is the output for
    the slide minus the output for an empty slide, with an accuracy that depends on `n_steps`. A network with
    `mask_background` sees no slide without cells: there, the empty slide has the same cells, at the mean embedding.

    Parameters
    ----------
    estimator, grid, target
        As in :func:`grad_cam`.
    n_steps : int
        Number of points on the path from the empty slide.

    Returns
    -------
    float32 ndarray, shape (rows, columns)
        Positive where a cell speaks for the class, a higher number or a higher risk, negative where it speaks against;
        0 on background.

    Raises
    ------
    ValueError
        If the target is unknown.
    """
    return _explain(estimator, grid, target, partial(_contribution_of_crop, n_steps=n_steps))


def _explain(estimator, grid, target, of_crop):
    models = list(_grid_models(estimator))
    column = _column(models, grid, target)
    of_output = partial(of_crop, column=column)
    return np.mean([model.explain(grid, of_output) for model in models], axis=0, dtype=np.float32)


def _grid_models(estimator):
    """The fitted grid estimators inside an ensemble, a pipeline or a search, or the estimator itself."""
    estimator = fitted_learner(estimator)
    # An ensemble of scikit-learn weights its models, codes their classes or learns from them, which a mean would miss.
    if hasattr(estimator, "estimators_") and hasattr(estimator, "run_networks"):
        for model in estimator.estimators_:
            yield from _grid_models(model)
    elif isinstance(estimator, GridEstimator):
        check_is_fitted(estimator)
        yield estimator
    else:
        raise TypeError(f"{type(estimator).__name__} is not a grid estimator; saliency needs the network of one")


def _column(models, grid, target):
    """Number of the output to explain."""
    classes = getattr(models[0], "classes_", None)
    if classes is None:
        return 0 if target is None else int(target)
    if target is None:
        return int(np.mean([model.predict_proba([grid]) for model in models], axis=0).argmax())
    if target not in classes:
        raise ValueError(f"target={target!r} is not a class; it must be one of {', '.join(map(str, classes))}")
    return int(np.flatnonzero(classes == target)[0])


def _output(module, crop, column, explained):
    return explained(module(crop)[0].float(), column)


def _input_gradient(module, crop, column, explained):
    crop = crop.detach().clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(_output(module, crop, column, explained), crop)
    return gradient[0]


def _gradient_of_crop(module, crop, explained, *, column):
    return _input_gradient(module, crop, column, explained).norm(dim=0).cpu().numpy()


def _contribution_of_crop(module, crop, explained, *, column, n_steps):
    shares = ((np.arange(n_steps) + 0.5) / n_steps).tolist()
    gradient = sum(_input_gradient(module, crop * share, column, explained) for share in shares) / n_steps
    return (crop[0] * gradient).sum(dim=0).cpu().numpy()


def _cam_of_crop(module, crop, explained, *, column):
    first, convolution = _first_convolution(module)
    pooled, hotspot = (module.pooled, module.hotspot) if isinstance(module, GridCNN) else (None, None)
    layers = {"first": first, "pooled": pooled, "hotspot": hotspot and hotspot.activation}
    kept, gradients = _features_of(module, crop, layers, partial(_output, column=column, explained=explained))
    cam = (gradients["first"].mean(dim=(2, 3), keepdim=True) * kept["first"]).sum(dim=1)[0]
    if len(kept) == 1:
        return to_cells(cam.relu().cpu().numpy(), convolution, crop.shape[2:])
    cells = to_cells(cam.cpu().numpy(), convolution, crop.shape[2:])
    if "pooled" in kept:
        cells = cells + _of_pooled(crop, gradients["pooled"] @ pooled.weight)
    if "hotspot" in kept:
        cells = cells + (gradients["hotspot"] * kept["hotspot"]).sum(dim=1)[0].cpu().numpy()
    return np.maximum(cells, 0)


def _features_of(module, crop, layers, output_of):
    """What the layers, which may be None, give for a crop, and the gradients of the output: two dicts by name."""
    layers = {name: layer for name, layer in layers.items() if layer is not None}
    kept = {}

    def keep(name, module, inputs, output):
        kept[name] = output

    hooks = [layer.register_forward_hook(partial(keep, name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            output = output_of(module, crop.detach().clone().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    gradients = torch.autograd.grad(output, list(kept.values()))
    return {name: value.detach() for name, value in kept.items()}, dict(zip(kept, gradients))


def _of_pooled(crop, weight):
    """What each cell adds through the pooled branch: its embedding times the weight (1, C), by the number of cells."""
    cells = (crop[0] * weight[0, :, None, None]).sum(dim=0)
    return (cells / n_tissue_cells(crop)[0]).detach().cpu().numpy()


def _first_convolution(module):
    """The layer whose features are weighted, and the convolution that defines their positions."""
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        raise ValueError(f"{type(module).__name__} has no 2-D convolution for Grad-CAM; use input_gradients")
    return (module.blocks[0] if isinstance(module, GridCNN) else convolutions[0]), convolutions[0]


def to_cells(features, convolution, size):
    """Interpolate a convolution's output (h, w) at the cells it was computed from, shape `size`."""
    where = []
    for axis in (0, 1):
        reach = convolution.dilation[axis] * (convolution.kernel_size[axis] - 1) / 2
        where.append((np.arange(size[axis]) + convolution.padding[axis] - reach) / convolution.stride[axis])
    return map_coordinates(features, np.meshgrid(*where, indexing="ij"), order=1, mode="nearest")
