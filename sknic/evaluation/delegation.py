"""Methods that an estimator has only if the model inside it has them."""

from sklearn.utils.metaestimators import available_if


def available_if_inner_has(name):
    """Decorate a method that needs a method of the model in the property `_inner`.

    Parameters
    ----------
    name : str
        Name of the inner model's method.

    Returns
    -------
    callable
        Decorator.
    """

    def inner_has(estimator):
        getattr(estimator._inner, name)  # scikit-learn shows the error of the model that lacks it
        return True

    return available_if(inner_has)
