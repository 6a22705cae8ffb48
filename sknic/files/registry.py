"""Classes whose objects are stored in files: each is registered when it is defined, and found by its name."""

from inspect import isabstract, signature

from sknic import __version__


class Registry:
    """Classes by their names in files.

    Parameters
    ----------
    kind : str
        Word for the objects in messages, such as "encoder".
    error : type
        Exception for a file whose class or parameters are not known.
    """

    def __init__(self, kind, error):
        self.kind, self.error = kind, error
        self._classes = {}

    def enter(self, cls):
        """Add a class; a later one of the same name and module replaces it."""
        self._classes[name_of(cls)] = cls

    def find(self, path, header):
        """Return the class of a file from the "class" and "params" in its header.

        Raises
        ------
        Exception
            The registry's error, if the class is unknown, or does not have such a parameter in this version.
        """
        name, params = str(header["class"]), header["params"]
        if not isinstance(params, dict):
            raise self.error(f"{path}: the {self.kind} in it has no parameters")
        cls = self._classes.get(name)
        if cls is None or isabstract(cls):
            hint = f"; import {name.rpartition('.')[0]} first" if "." in name else ""
            raise self.error(f"{path}: the {self.kind} in it has the unknown class {name!r}{hint}")
        unknown = sorted(set(params) - set(signature(cls).parameters))
        if unknown:
            # No guess is made what they meant.
            raise self.error(
                f"{path} was written by sknic {header.get('sknic', 'of an unknown version')}, where {name} has the "
                f"parameter {', '.join(unknown)}; this is sknic {__version__}, which does not have it. Read it with "
                f"the version that wrote it, or train the {self.kind} again"
            )
        return cls


def name_of(cls):
    """Name of a class in files: short for sknic's own classes, preceded by the module for others."""
    own = cls.__module__.partition(".")[0] == "sknic"
    return cls.__name__ if own else f"{cls.__module__}.{cls.__qualname__}"
