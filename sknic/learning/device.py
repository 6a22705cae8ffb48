"""Where and how torch computes: device, precision, and number of CPU threads."""

from contextlib import contextmanager

import torch
from joblib.parallel import get_active_backend

from sknic.learning.params import Rule, check, choice, nothing


def _names_a_device(value):
    if isinstance(value, torch.device):
        return True
    try:
        return isinstance(value, str) and (value == "auto" or torch.device(value) is not None)
    except RuntimeError:
        return False


DEVICE = Rule(_names_a_device, "'auto', 'cpu', 'cuda', 'cuda:<n>' or a torch.device")


def resolve_device(device="auto"):
    """Return the torch.device of "auto", "cpu", "cuda", "cuda:1" or a torch.device; "auto" is CUDA if available."""
    check("device", device, DEVICE)
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = torch.device(device)
    n_gpus = torch.cuda.device_count() if found.type == "cuda" else 0
    if found.type == "cuda" and (found.index or 0) >= n_gpus:
        there = f"'cuda:0' to 'cuda:{n_gpus - 1}'" if n_gpus else "'auto' or 'cpu', because torch finds no CUDA GPU"
        raise ValueError(f"device={str(device)!r}: expected {there} on this machine")
    return found


PRECISION = choice("auto", "float32", "bfloat16")


def resolve_precision(precision, device):
    """Return "float32" or "bfloat16"; "auto" is bfloat16 if the device supports it natively, None only on such GPUs.

    It is native on GPUs that report it, and on CPUs with AVX512-BF16 or AMX; on others it is slower than float32.
    """
    check("precision", precision, PRECISION | nothing)
    if precision in ("float32", "bfloat16"):
        return precision
    if precision is None and device.type != "cuda":
        return "float32"
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        native = device.type == "cpu" and bool(_bfloat16_instructions())
    return "bfloat16" if native else "float32"


def cpu_instructions():
    """Name the instructions that decide speed and how sums are rounded, such as "AVX512, AVX512-BF16"."""
    return ", ".join([torch.backends.cpu.get_cpu_capability(), *_bfloat16_instructions()])


def _bfloat16_instructions():
    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX-BF16"}
    return [name for key, name in names.items() if has.get(key, False)]


def in_parallel_worker():
    """Return whether this code runs inside a joblib task, in parallel with others that use the other cores."""
    return get_active_backend()[0].nesting_level > 0


@contextmanager
def torch_threads(n_threads=None):
    """Set torch's number of CPU threads inside the block; None is torch's own number, or one in a joblib task."""
    before = torch.get_num_threads()
    chosen = (1 if in_parallel_worker() else before) if n_threads is None else int(n_threads)
    torch.set_num_threads(chosen)
    try:
        yield
    finally:
        torch.set_num_threads(before)
