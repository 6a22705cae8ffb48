"""Encoders by name: those in the package, and those published by the authors of the method."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sknic.encoders.foreign import Foreign
from sknic.encoders.store import read_encoder
from sknic.exceptions import EncoderNotFoundError
from sknic.files.digests import digest_of
from sknic.files.nearest import no_such_file

BUNDLED = Path(__file__).parent / "bundled"
# Where the authors' files are, and the license they are under.
PUBLISHED_AT = "https://github.com/davidtellez/neural-image-compression (models/encoders_patches_pathology)"
PUBLISHED_LICENSE = "MIT"


@dataclass(frozen=True)
class Published:
    """A file published by the authors.

    Attributes
    ----------
    about : str
        What the encoder was trained on.
    code_size : int or None
        Length C of an embedding; None if we did not have the file.
    sha256 : str
        Digest of the file; empty if we did not have the file.
    """

    about: str
    code_size: int | None = None
    sha256: str = ""


PUBLISHED = {
    "encoder_multitask-4.h5": Published(
        "four tasks at once, of the MIDL 2020 paper",
        128,
        "714684a5aacbc4b2dc3718db5e91f4222ffbcdaa7df81d6daa31a006a9a1da0b",
    ),
    "encoder_bigan.h5": Published(
        "BiGAN, of the TPAMI 2021 paper", 128, "15cf687f29121aeb500c88a4e406ab0919a5f939187ad618517a04a81130569b"
    ),
    "encoder_contrastive.h5": Published("pairs of patches, same or different"),
    "encoder_vae.h5": Published("variational autoencoder"),
    "encoder_supervised-tissue.h5": Published("tissues of colorectal cancer"),
    "encoder_supervised-tumor.h5": Published("tumor in lymph nodes"),
    "encoder_mean-rgb.h5": Published(
        "no weights: the mean color", 3, "f829addcc0a5c73dc5e3c730587f0814998ba0af1f192057545af4e171f6177b"
    ),
}


def list_encoders() -> pd.DataFrame:
    """List the encoders that have a name.

    Returns
    -------
    DataFrame
        Indexed by the name to pass to `load_encoder`. A bundled encoder is read from the package; a published one has
        to be downloaded first. Columns: bundled (bool), about, code_size, patch_size (px), mpp (um per px),
        license, source (file in the package, or where to get it), sha256 (of the file; "" if unknown).

    Examples
    --------
    >>> from sknic import list_encoders
    >>> list_encoders().loc["encoder_multitask-4.h5", "license"]
    'MIT'
    """
    rows = {path.stem: _bundled_row(path) for path in sorted(BUNDLED.glob("*.safetensors"))}
    for name, file in PUBLISHED.items():
        rows[name] = {
            "bundled": False,
            "about": file.about,
            "code_size": file.code_size,
            "patch_size": 128,
            "mpp": 0.5,
            "license": PUBLISHED_LICENSE,
            "source": PUBLISHED_AT,
            "sha256": file.sha256,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")
    return table.astype({"code_size": "Int64"})


def _bundled_row(path):
    header, _ = read_encoder(path)
    card = header["card"]
    return {
        "bundled": True,
        "about": card["about"],
        "code_size": header["params"]["code_size"],
        "patch_size": header["patch_size"],
        "mpp": header["mpp"],
        "license": card["license"],
        "source": str(path),
        "sha256": digest_of(path),
    }


def bundled_names():
    """Names of the encoders in the package, sorted."""
    return sorted(path.stem for path in BUNDLED.glob("*.safetensors"))


def encoder_path(name_or_path):
    """Return the path of an encoder's file: a bundled one by its name, any other by its path.

    A bundled name takes precedence over a file of that name in the working folder; "./NAME" is the file.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a bundled encoder, path of a file, "torchscript:FILE" or "timm:NAME:WEIGHTS".

    Returns
    -------
    Path
        Path of an existing file; of the weights if another tool made them.

    Raises
    ------
    EncoderNotFoundError
        If it is neither; the message lists the names and files there are.
    """
    if isinstance(name_or_path, str) and name_or_path in bundled_names():
        return BUNDLED / f"{name_or_path}.safetensors"
    foreign = Foreign.parse(name_or_path)
    path = Path(name_or_path) if foreign is None else foreign.weights
    if path.is_file():
        return path
    if foreign is not None:
        raise EncoderNotFoundError(f"encoder={os.fspath(name_or_path)!r}: {no_such_file(path)}")
    what = "is a folder, not an encoder file" if path.is_dir() else "no such file, and no bundled encoder of that name"
    raise EncoderNotFoundError(
        f"encoder={os.fspath(name_or_path)!r}: {what}. Bundled: {', '.join(bundled_names()) or 'none'}. "
        f"Published by the authors of the method, under the {PUBLISHED_LICENSE} license: {', '.join(PUBLISHED)}; "
        f"download one from {PUBLISHED_AT} and give the path of the file. "
        "A network of timm is timm:NAME:WEIGHTS"
    )


def identify(path):
    """Return the name of the known encoder whose file is identical to this one; None for any other file."""
    digest = digest_of(path)
    known = list_encoders()["sha256"]
    names = known.index[known == digest]
    return names[0] if len(names) else None
