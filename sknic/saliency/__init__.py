"""Where on a slide a fitted grid estimator looks, and which cells of a cohort speak most for its predictions."""

from sknic.saliency.maps import grad_cam, input_gradients, integrated_gradients
from sknic.saliency.ranking import RankedCell, rank_cells

__all__ = ["RankedCell", "grad_cam", "input_gradients", "integrated_gradients", "rank_cells"]
