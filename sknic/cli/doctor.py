"""`sknic doctor`: is everything installed that sknic needs, and how long will a slide take?"""

import os
import platform
import shutil
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

PACKAGES = ("sknic", "torch", "scikit-learn", "skorch", "scikit-survival", "openslide-python", "openslide-bin")
EXTRAS = {"flask": "sknic view", "anndata": "Grid.to_anndata", "dask": "SlideCompressor on a Dask cluster"}
# A resection specimen: 100,000 x 80,000 px at 0.25 um/px, a third of it tissue, patches of 128 px at 0.5 um/px.
USUAL_SLIDE_CELLS = 100_000 * 80_000 * 0.25**2 / 64**2 / 3


def doctor(
    folder: Annotated[Path, typer.Argument(help="Folder that results will be written to.")] = Path("."),
    seconds: Annotated[float, typer.Option(help="Length of the speed test in seconds; 0 skips it.")] = 5.0,
):
    """Check versions, OpenSlide, processor, GPU, write access and speed. Include the output when you ask for help.

    Example: `sknic doctor results/`
    """
    import openslide
    import torch

    from sknic.learning.device import cpu_instructions, resolve_device, resolve_precision

    device = resolve_device("auto")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "none that torch can use"
    native = resolve_precision("auto", torch.device("cpu")) == "bfloat16"
    _say("Python", f"{platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        _say(name, _version(name))
    _say("OpenSlide", openslide.__library_version__)
    for name, use in EXTRAS.items():
        _say(name, _version(name, f"not installed; {use} needs it"))
    _say("processor", f"{os.cpu_count()} cores, {cpu_instructions()}")
    _say("bfloat16", "native" if native else "not native: float32 is faster here")
    _say("GPU", gpu)
    fit = _check_folder(folder)
    if seconds > 0:
        _measure(device, seconds)
    if not fit:
        raise typer.Exit(1)


def _say(name, value):
    typer.echo(f"{name:18s} {value}")


def _version(package, otherwise="not installed"):
    try:
        return version(package)
    except PackageNotFoundError:
        return otherwise


def _check_folder(folder):
    """Whether grids can be kept there: the folder is writable, and files can be locked."""
    from filelock import FileLock

    here = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryDirectory(dir=here) as inside:
            Path(inside, "file").write_bytes(b"sknic")
            locks = _can_lock(FileLock(Path(inside, "lock")))
    except OSError as error:
        _say("folder", f"{folder} cannot be written: {error.strerror or error}")
        return False
    free = shutil.disk_usage(here).free / 1e9
    _say("folder", f"{here} is writable; {free:,.0f} GB are free")
    _say("locks", "work there" if locks else "do not work there: let one process at a time write to it")
    return True


def _can_lock(lock):
    try:
        with lock.acquire(timeout=5):
            return True
    except (OSError, TimeoutError):
        return False


def _measure(device, seconds):
    import numpy as np

    from sknic.encoders.inference import folded_embedder
    from sknic.encoders.network_encoder import SCALE, SHIFT
    from sknic.encoders.networks import Chain, encoder_layers

    network = Chain(encoder_layers(128, 64))  # the paper's; its speed does not depend on what it has learnt
    embed = folded_embedder(network, SCALE, SHIFT, 128, 64, device, "float32")
    patches = np.random.default_rng(0).integers(0, 256, (256, 128, 128, 3), dtype=np.uint8)
    embed(patches)
    n_patches, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        embed(patches)
        n_patches += len(patches)
    rate = n_patches / elapsed
    _say(
        "speed", f"{rate:,.0f} patches of 128 px per second with the paper's encoder on {device}, reading not included"
    )
    _say("a usual slide", f"{USUAL_SLIDE_CELLS:,.0f} patches of tissue, so about {_minutes(USUAL_SLIDE_CELLS / rate)}")


def _minutes(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
