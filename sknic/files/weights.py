"""What the files of encoders and of estimators share: safetensors, with JSON in the header and a checksum over both."""

import json

from safetensors import SafetensorError
from safetensors.torch import load, save

from sknic import __version__
from sknic.files.whole import whole_file

# What reading a damaged, foreign or hostile file may raise.
UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def write_weights(path, header, tensors, digest):
    """Write named tensors on the CPU, and a header that JSON can hold; an older file is replaced by a whole one.

    Parameters
    ----------
    path : str or Path
    header : dict
        With "format", the kind and version of file.
    tensors : dict of str to torch.Tensor
    digest : callable (header, tensors) -> str
    """
    header = {"sknic": __version__, **header}
    header["checksum"] = digest(header, tensors)
    content = save(tensors, metadata={"sknic": json.dumps(header)})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def read_weights(content, format, digest):
    """Parse the bytes of a file written by `write_weights`; raises one of `UNREADABLE` if they are not such a file.

    Parameters
    ----------
    content : bytes
    format : str
        What the header has to name.
    digest : callable (header, tensors) -> str
        As it was written with.
    """
    # Reads the header first and checks it against the length of the file.
    tensors = load(content)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["sknic"])
    checksum = header.pop("checksum")
    if header["format"] != format:
        raise ValueError(f"its format is {header['format']!r}, this sknic reads {format!r}")
    if digest(header, tensors) != checksum:
        raise ValueError("its checksum does not fit: it is damaged")
    return header, tensors
