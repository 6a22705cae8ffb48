"""Where torch computes: the device, and how many threads of the CPU."""

from contextlib import contextmanager

import torch


def resolve_device(device="auto"):
    """Turn "auto", "cpu", "cuda", "cuda:1" or a torch.device into a torch.device; "auto" is CUDA where present."""
    if isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is none; give 'auto', 'cpu' or 'cuda'") from error


@contextmanager
def torch_threads(n_threads):
    """Let torch use so many CPU threads inside; None leaves the number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if n_threads is None else n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
