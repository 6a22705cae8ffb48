"""Script that extracts configuration and weights from a Keras HDF5 file, in a process that a hostile file may crash.

libhdf5 can crash, hang or allocate without end on a damaged file, so `keras_h5` never opens one in the user's process.
Writes an npz to its standard output: "config", the model's JSON as bytes, and one float32 array per weight, named
"layer/kind". Imports nothing of sknic, to be quick.
"""

import contextlib
import io
import sys

import h5py
import numpy as np

# No encoder of this kind is larger; a file that says so is damaged or hostile.
MAX_VALUES = 2**28
MAX_CONFIG = 2**22
MAX_MEMORY = 2**32


def extract(path):
    """Return the arrays of a model file by name.

    Raises
    ------
    Exception
        Of any kind, if the file is not an encoder.
    """
    with h5py.File(path, "r") as file:
        config = file.attrs["model_config"]
        config = config if isinstance(config, bytes) else config.encode()
        if len(config) > MAX_CONFIG:
            raise ValueError("model_config is too long")
        root = follow(file, "model_weights") if "model_weights" in file else file
        return {"config": np.frombuffer(config, np.uint8), **read_weights(root)}


def read_weights(root):
    """All weights of a file, at most MAX_VALUES numbers, as "layer/kind"."""
    weights, n_values = {}, 0
    for layer in names(root, "layer_names"):
        group = follow(root, layer)
        for name in names(group, "weight_names"):
            dataset = check(follow(group, name), name)
            n_values += dataset.size
            if n_values > MAX_VALUES:
                raise ValueError(f"it contains more than {MAX_VALUES} weights")
            key = "/".join(name.partition(":")[0].split("/")[-2:])
            if key in weights:
                raise ValueError(f"it has two weights called {key!r}, in models within the model; rename the layers")
            weights[key] = dataset[...].astype(np.float32)
    return weights


def names(group, attribute):
    """The list of names in an attribute."""
    return [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]]


def follow(group, path):
    """Follow a path, but refuse links that lead elsewhere, especially to other files."""
    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path!r} is missing or only a link")
        group = group[part]
    return group


def check(dataset, name):
    """Return the dataset if it is a float array that is completely in this file."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
        raise ValueError(f"weight {name!r} is not a float array")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"weight {name!r} lies in another file")
    # Equal exactly when every value is stored as it is: what was never written or is compressed could be endless.
    if dataset.id.get_storage_size() != dataset.size * dataset.dtype.itemsize:
        raise ValueError(f"weight {name!r} is not stored whole")
    return dataset


def main(path):
    """Write the npz, or one line about what is wrong to the standard error; return the exit status."""
    with contextlib.suppress(ImportError):  # Windows has no limits to set.
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        buffer = io.BytesIO()
        np.savez(buffer, **extract(path))
    except Exception as error:  # Whatever a library makes of a file that is not an encoder.
        sys.stderr.write(" ".join(f"{type(error).__name__}: {error}".split()))
        return 2
    sys.stdout.buffer.write(buffer.getbuffer())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
