"""Digest of what a callable computes: its code, what it reads from outside, and its state."""

import dis
import functools
import hashlib
import importlib
import inspect
import os
import sys
import sysconfig
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

import joblib

from sknic.exceptions import SknicError

_INSTALLED = tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("purelib", "platlib", "stdlib")})


_CONTAINERS = (list, tuple, set, frozenset, dict)
_CODE = (FunctionType, MethodType, functools.partial, type)


class _NoHash(Exception):
    """A value that joblib cannot hash, as its argument."""


def callable_identity(function, parameter, cache):
    """Digest of a function, method, partial or callable object, with the globals and helpers it uses.

    Functions, classes and modules of the user are represented by their code, those of installed packages by their name
    and version.

    Parameters
    ----------
    function : callable
    parameter, cache : str
        Names of the parameters that take the function and need its identity, for the message.

    Returns
    -------
    str
        Hexadecimal digest.

    Raises
    ------
    SknicError
        If its state cannot be hashed.
    """
    try:
        identity = _identity(function, set())
    except (_NoHash, RecursionError) as error:
        value = error.args[0] if isinstance(error, _NoHash) else function
        raise SknicError(
            f"cannot tell whether {parameter}={value!r} changes between runs, which {cache} needs; pass a plain "
            "function"
        ) from error.__cause__
    return hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest()


def class_identity(cls):
    """Digest of the code of a class of the user.

    Parameters
    ----------
    cls : type

    Returns
    -------
    str or None
        Hexadecimal digest; None for classes of Python, of installed packages and of sknic.
    """
    if not _is_users(cls.__module__):
        return None
    try:
        identity = _class(cls, set())
    except _NoHash:
        identity = [cls.__module__, cls.__qualname__]  # some constant of it cannot be hashed
    return hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest()


def _identity(value, seen, names=()):
    """Identity of a value; `names` are the names that the surrounding code uses of a module."""
    if isinstance(value, functools.partial):
        keywords = [(name, _identity(item, seen)) for name, item in sorted(value.keywords.items())]
        return ["partial", _identity(value.func, seen), [_identity(item, seen) for item in value.args], keywords]
    if isinstance(value, MethodType):
        return ["method", _identity(value.__func__, seen), _identity(value.__self__, seen)]
    if isinstance(value, staticmethod | classmethod):
        return _identity(value.__func__, seen)
    if isinstance(value, property):
        return ["property", [_identity(each, seen) for each in (value.fget, value.fset) if each is not None]]
    if isinstance(value, FunctionType):
        return _function(value, seen)
    if isinstance(value, ModuleType):
        return _module(value, seen, names)
    if isinstance(value, type):
        return _class(value, seen)
    if isinstance(value, BuiltinFunctionType):
        return ["name", value.__module__, value.__qualname__]
    if isinstance(getattr(value, "__wrapped__", None), FunctionType):  # functools.cache and the like
        return ["wrapped", type(value).__qualname__, _function(value.__wrapped__, seen)]
    if isinstance(value, _CONTAINERS) and _has_code(value):
        items = value.items() if isinstance(value, dict) else value
        found = [_identity(item, seen) for item in items]
        return [type(value).__name__, sorted(found, key=repr) if isinstance(value, set | frozenset) else found]
    if _has_code(value):
        return _object(value, seen)
    return _hash(value)


def _has_code(value):
    """Whether a value is or contains code of the user, of which joblib would hash the name alone."""
    if isinstance(value, _CONTAINERS):
        return any(map(_has_code, value.items() if isinstance(value, dict) else value))
    if isinstance(value, _CODE):
        return True
    if not hasattr(value, "__dict__"):
        return False
    is_users = _is_users(type(value).__module__)
    return is_users or any(isinstance(item, _CODE) and _is_users(item.__module__) for item in vars(value).values())


def _function(function, seen):
    if id(function) in seen:  # it calls itself, or stands here already
        return ["again", function.__qualname__]
    seen.add(id(function))
    closed = [_identity(cell.cell_contents, seen) for cell in function.__closure__ or ()]
    used = _names(function.__code__)
    outside = [
        (name, _identity(function.__globals__[name], seen, used)) for name in sorted(used & function.__globals__.keys())
    ]
    defaults = _identity((function.__defaults__, function.__kwdefaults__), seen)
    inside = [(name, _imported(name, seen, used)) for name in sorted(_imports(function.__code__))]
    of = ["function", function.__qualname__, _code(function.__code__), defaults, closed, outside]
    return [*of, inside] if inside else of  # without imports, grids of earlier versions are still found


def _imports(code):
    """Modules that a function imports when it is called."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    here = {step.argval for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"}
    return here.union(*map(_imports, inner))


def _imported(name, seen, names):
    try:
        return _module(importlib.import_module(name), seen, names)
    except (ImportError, ValueError):  # the function may try and do without; or it is relative
        return name


def _module(module, seen, names):
    known = ["module", module.__name__, str(getattr(module, "__version__", ""))]
    if not _is_users(module.__name__):
        return known
    return [*known, [(name, _identity(vars(module)[name], seen)) for name in sorted(names & vars(module).keys())]]


def _class(cls, seen):
    """A class by name and, if it is the user's, by everything that it and its parents define."""
    name = ["class", cls.__module__, cls.__qualname__]
    if not _is_users(cls.__module__) or id(cls) in seen:
        return name
    seen.add(id(cls))
    return [*name, [_class(parent, seen) for parent in cls.__bases__], _members(cls, seen)]


def _members(cls, seen):
    """Methods and attributes; not what Python itself adds, such as __module__ and the descriptors of slots."""
    found = []
    for name in sorted(vars(cls)):
        value = vars(cls)[name]
        is_code = isinstance(value, FunctionType | staticmethod | classmethod | property)
        if is_code or not (name.startswith("__") or name == "_abc_impl" or inspect.isdatadescriptor(value)):
            found.append((name, _identity(value, seen)))
    return found


def _object(value, seen):
    if id(value) in seen:
        return ["again", type(value).__qualname__]
    seen.add(id(value))
    slots = {name for cls in type(value).__mro__ for name in vars(cls).get("__slots__", ()) if hasattr(value, name)}
    state = vars(value) | {name: getattr(value, name) for name in slots - {"__dict__", "__weakref__"}}
    return ["object", _class(type(value), seen), [(name, _identity(state[name], seen)) for name in sorted(state)]]


def _is_users(module):
    """Whether a module is code of the user rather than of Python, of an installed package, or of sknic."""
    top = (module or "").partition(".")[0]
    if top == "__main__":  # in a worker process that is the file of joblib, and what is pickled is the user's
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    if top == "sknic" or top in sys.stdlib_module_names:
        return False
    return file is None or not os.path.realpath(file).startswith(_INSTALLED)


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
        raise _NoHash(value) from error
