"""Neural image compression of whole-slide images, as scikit-learn estimators."""

import lazy_loader

__version__ = "0.1.0"

# The public names stand in `__init__.pyi` alone; none is imported before it is used, so `import sknic` stays quick.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__():
    return sorted(__all__)
