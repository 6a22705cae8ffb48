"""What is known of a file holds until the file changes."""

import os

import pytest

from sknic.files import known
from sknic.files.known import Known


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return str(path)


def change_size(file):
    with open(file, "ab") as opened:
        opened.write(b"d")


def change_time(file):
    os.utime(file, ns=(0, 1))


def replace(file):
    status = os.stat(file)
    os.rename(file, file + ".old")
    with open(file, "wb") as opened:
        opened.write(b"abc")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [change_size, change_time, replace])
def test_what_is_known_of_a_file_is_forgotten_when_it_changes(change, file):
    memory = Known()
    assert memory.get(file, os.stat(file)) is None
    assert memory.put(file, os.stat(file), "digest") == "digest"
    assert memory.get(file, os.stat(file)) == "digest"
    change(file)
    assert memory.get(file, os.stat(file)) is None


def test_the_older_half_is_forgotten_when_there_are_too_many(file, monkeypatch):
    monkeypatch.setattr(known, "MOST", 4)
    memory, status = Known(), os.stat(file)
    for i in range(5):
        memory.put(str(i), status, i + 1)
    assert [memory.get(str(i), status) for i in range(5)] == [None, None, 3, 4, 5]
