"""Where on a slide a fitted grid estimator looks."""

from sknic.saliency.maps import grad_cam, input_gradients, integrated_gradients

__all__ = ["grad_cam", "input_gradients", "integrated_gradients"]
