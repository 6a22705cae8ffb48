"""Messages for paths that do not exist: the name that was probably meant, or the folder that is missing."""

import difflib
import os


def did_you_mean(word, names, cutoff=0.75):
    """Suggest a name for a word that is not among the names.

    Parameters
    ----------
    word : str
    names : sequence of str
    cutoff : float, default=0.75
        Minimum similarity of a name, from 0 to 1; case is ignored.

    Returns
    -------
    str
        "; did you mean 'name'?", or an empty text.
    """
    folded = {str(name).casefold(): str(name) for name in names}
    meant = difflib.get_close_matches(str(word).casefold().strip(), folded, 1, cutoff)
    return f"; did you mean {folded[meant[0]]!r}?" if meant else ""


def no_such_file(path):
    """Describe a path that does not exist.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
        Message with the most similar name in its folder, or with the first folder on the path that does not exist.
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
