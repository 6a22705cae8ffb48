"""Where and how torch computes: names of devices, native bfloat16, threads of parallel tasks."""

import pytest
import torch
from joblib import Parallel, delayed

from sknic.learning.device import cpu_instructions, resolve_device, resolve_precision, torch_threads


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_the_processor_computes_it_natively(monkeypatch, native, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native}, raising=False)
    assert resolve_precision("auto", torch.device("cpu")) == expected
    assert resolve_precision(None, torch.device("cpu")) == "float32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: native)
    assert resolve_precision(None, torch.device("cuda")) == expected
    with pytest.raises(ValueError, match="^precision='half': expected 'auto', 'float32', 'bfloat16' or None$"):
        resolve_precision("half", torch.device("cpu"))


def threads_inside(n_threads):
    with torch_threads(n_threads):
        return torch.get_num_threads()


def test_the_instructions_of_the_processor_name_those_of_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for has, named in ({}, "AVX512"), ({"amx_bf16": True, "avx512_bf16": True}, "AVX512, AVX512-BF16, AMX-BF16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        assert cpu_instructions() == named


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_parallel_task_has_one_thread_unless_told_otherwise(backend):
    assert Parallel(n_jobs=2, backend=backend)(delayed(threads_inside)(n) for n in (None, 2)) == [1, 2]
    assert threads_inside(None) == torch.get_num_threads()
    assert threads_inside(3) == 3


def test_devices_are_resolved_and_nonsense_is_refused():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(ValueError, match="moon"):
        resolve_device("moon")
