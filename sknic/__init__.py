"""Neural image compression of whole-slide images, as scikit-learn estimators."""

from importlib import import_module

__version__ = "0.1.0"

# Where each public name lives. Nothing below is imported before it is asked for: `import sknic` stays quick.
_HOMES = {
    "Slide": "sknic.slides",
    "Grid": "sknic.grids",
    "SlideCompressor": "sknic.compression",
    "load_encoder": "sknic.encoders",
    "MultitaskEncoder": "sknic.encoders",
    "BiGANEncoder": "sknic.encoders",
    "VAEEncoder": "sknic.encoders",
    "ContrastiveEncoder": "sknic.encoders",
    "MeanRGBEncoder": "sknic.encoders",
    "TorchEncoder": "sknic.encoders",
    "GridCNNRegressor": "sknic.estimators",
    "GridCNNClassifier": "sknic.estimators",
    "GridCoxSurvival": "sknic.estimators",
    "CrossValEnsemble": "sknic.evaluation",
    "TaskSelector": "sknic.evaluation",
}
_SUBPACKAGES = ("datasets", "evaluation", "exceptions", "plotting", "saliency")

__all__ = [*_HOMES, *_SUBPACKAGES, "__version__"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"sknic.{name}")
    raise AttributeError(f"module 'sknic' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
