"""What a callable computes, as a digest: its code, what it reads from outside, and the state it carries."""

import functools
import hashlib
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

import joblib

from sknic.exceptions import SknicError


def callable_identity(function):
    """Digest of a function, method, partial or callable object, with the globals and helpers it uses.

    Parameters
    ----------
    function : callable

    Returns
    -------
    str
        Hexadecimal digest.

    Raises
    ------
    SknicError
        If its state cannot be hashed.
    """
    return hashlib.blake2b(repr(_identity(function, set())).encode(), digest_size=16).hexdigest()


def _identity(value, seen):
    if isinstance(value, functools.partial):
        keywords = [(name, _identity(item, seen)) for name, item in sorted(value.keywords.items())]
        return ["partial", _identity(value.func, seen), [_identity(item, seen) for item in value.args], keywords]
    if isinstance(value, MethodType):
        return ["method", _identity(value.__func__, seen), _identity(value.__self__, seen)]
    if isinstance(value, FunctionType):
        return _function(value, seen)
    if isinstance(value, ModuleType):
        return ["module", value.__name__, str(getattr(value, "__version__", ""))]
    if isinstance(value, (type, BuiltinFunctionType)):
        return ["name", value.__module__, value.__qualname__]
    call = type(value).__dict__.get("__call__")
    if isinstance(call, FunctionType):
        return ["object", type(value).__qualname__, _function(call, seen), _hash(value)]
    return _hash(value)


def _function(function, seen):
    if id(function) in seen:  # it calls itself, or stands here already
        return ["again", function.__qualname__]
    seen.add(id(function))
    closed = [_identity(cell.cell_contents, seen) for cell in function.__closure__ or ()]
    names = sorted(_names(function.__code__) & function.__globals__.keys())
    outside = [(name, _identity(function.__globals__[name], seen)) for name in names]
    defaults = _hash((function.__defaults__, function.__kwdefaults__))
    return ["function", function.__qualname__, _code(function.__code__), defaults, closed, outside]


def _names(code):
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _code(code):
    return [code.co_code.hex(), code.co_names, [_constant(constant) for constant in code.co_consts]]


def _constant(value):
    if isinstance(value, CodeType):
        return _code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _hash(value):
    try:
        return joblib.hash(value)
    except Exception as error:  # joblib pickles: any object may refuse in its own way
        raise SknicError(
            f"cannot tell whether tissue={value!r} changes between runs, which cache_dir needs; pass a plain function"
        ) from error
