"""A file of weights comes back whole, and any damage to it is noticed."""

import pytest
import torch

from sknic import __version__
from sknic.files.weights import UNREADABLE, digest, part, read_weights, write_weights

HEADER = {"format": "a test 1", "names": ["ä", "b"], "number": 0.1}
TENSORS = {
    "float": torch.arange(6.0).reshape(2, 3).T,
    "half": torch.ones(2, dtype=torch.bfloat16),
    "whole": torch.tensor(3),
    "none": torch.zeros(0, 4),
    "channels last": torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
}


@pytest.fixture
def path(tmp_path):
    write_weights(tmp_path / "weights", HEADER, TENSORS)
    return tmp_path / "weights"


def test_header_and_tensors_come_back(path):
    header, tensors = read_weights(path.read_bytes(), "a test 1")
    assert {name: header[name] for name in HEADER} == HEADER
    assert set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    assert all(tensors[name].dtype == tensor.dtype for name, tensor in TENSORS.items())


def test_tensors_may_share_memory(tmp_path):
    whole = torch.arange(4.0)
    write_weights(tmp_path / "shared", HEADER, {"whole": whole, "part": whole[1:3]})
    _, tensors = read_weights((tmp_path / "shared").read_bytes(), "a test 1")
    assert tensors["part"].tolist() == [1, 2]


def test_every_flipped_byte_and_every_truncation_is_noticed(path):
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 16
        for content in (bytes(damaged), whole[:place]):
            with pytest.raises(UNREADABLE):
                read_weights(content, "a test 1")


def test_another_format_is_refused_by_name_and_both_versions(path, monkeypatch):
    monkeypatch.setattr("sknic.files.weights.__version__", "7.1.0")
    with pytest.raises(ValueError, match=rf"'a test 1', of sknic {__version__}; this is sknic 7\.1\.0.*'a test 2'"):
        read_weights(path.read_bytes(), "a test 2")


@pytest.mark.parametrize(
    "change",
    [
        lambda settings, tensors: settings.update(number=0.2),
        lambda settings, tensors: tensors.update(whole=torch.tensor(4)),
        lambda settings, tensors: tensors.update(whole=torch.tensor(3, dtype=torch.int32)),
        lambda settings, tensors: tensors.update(none=torch.zeros(4, 0)),
        lambda settings, tensors: tensors.update(more=tensors.pop("whole")),
    ],
    ids=["a setting", "a value", "a type", "a shape", "a name"],
)
def test_the_digest_covers(change):
    settings, tensors = dict(HEADER), dict(TENSORS)
    before = digest(settings, tensors)
    change(settings, tensors)
    assert digest(settings, tensors) != before


def test_the_digest_does_not_depend_on_how_tensors_lie_in_memory_or_in_which_order():
    turned = {name: tensor.contiguous() for name, tensor in reversed(TENSORS.items())}
    assert digest(HEADER, turned) == digest(dict(reversed(HEADER.items())), TENSORS)


def test_a_part_is_what_stands_under_a_prefix():
    assert part({"a.b.c": 1, "a.d": 2, "ab": 3}, "a.") == {"b.c": 1, "d": 2}
