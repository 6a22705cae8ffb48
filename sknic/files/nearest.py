"""What is said of a path that does not exist: the name that was meant, or the folder that is not there either."""

import difflib
import os


def did_you_mean(word, names, cutoff=0.75):
    """The end of a sentence on a word that is not among the names.

    Parameters
    ----------
    word : str
    names : sequence of str
    cutoff : float, default=0.75
        Likeness, from 0 to 1, that a name must have; upper and lower case are alike.

    Returns
    -------
    str
        "; did you mean 'name'?", or nothing.
    """
    folded = {str(name).casefold(): str(name) for name in names}
    meant = difflib.get_close_matches(str(word).casefold().strip(), folded, 1, cutoff)
    return f"; did you mean {folded[meant[0]]!r}?" if meant else ""


def no_such_file(path):
    """The words for a path that does not exist.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
        With the name in its folder that is nearest to it, or the first folder on its way that is not there.
    """
    folder, name = os.path.split(os.fspath(path))
    if os.path.islink(path):
        return f"it is a link to {os.readlink(path)}, which does not exist"
    try:
        names = os.listdir(folder or ".")
        stems = {name, os.path.splitext(name)[0]}  # the suffix was left out, or is another
        same = [other for other in names if os.path.splitext(other)[0] in stems]
        return "no such file" + did_you_mean(same[0] if same else name, names)
    except (OSError, ValueError):
        return f"no such file{_missing_folder(folder)}"


def _missing_folder(folder):
    while folder and not os.path.isdir(folder) and os.path.dirname(folder) not in ("", folder):
        if os.path.isdir(os.path.dirname(folder)):
            break
        folder = os.path.dirname(folder)
    return f", nor its folder {folder}" if folder and not os.path.isdir(folder) else ""
