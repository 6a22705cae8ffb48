"""Where torch computes: the device, and how many threads of the CPU."""

from contextlib import contextmanager

import torch

from sknic.learning.params import Rule, check


def _names_a_device(value):
    if isinstance(value, torch.device):
        return True
    try:
        return isinstance(value, str) and (value == "auto" or torch.device(value) is not None)
    except RuntimeError:
        return False


DEVICE = Rule(_names_a_device, "'auto', 'cpu', 'cuda', 'cuda:<n>' or a torch.device")


def resolve_device(device="auto"):
    """Return the torch.device of "auto", "cpu", "cuda", "cuda:1" or a torch.device; "auto" is CUDA where present."""
    check("device", device, DEVICE)
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


@contextmanager
def torch_threads(n_threads):
    """Let torch use so many CPU threads inside; None leaves the number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if n_threads is None else n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
