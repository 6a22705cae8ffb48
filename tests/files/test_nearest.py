"""A path that does not exist is answered by the name that was meant."""

import errno

import pytest

from sknic.files.nearest import did_you_mean, no_such_file
from sknic.files.records import read_json
from sknic.files.whole import whole_file


@pytest.mark.parametrize("name", ["case01.svs", "CASE1.SVS", "case1.tif", "case1", "case1.svz"])
def test_the_nearest_name_in_the_folder_is_named(name, tmp_path):
    (tmp_path / "case1.svs").touch()
    assert no_such_file(tmp_path / name) == "no such file; did you mean 'case1.svs'?"


def test_what_has_no_neighbor_is_only_missing(tmp_path):
    (tmp_path / "other.svs").touch()
    assert no_such_file(tmp_path / "case1.svs") == "no such file"
    assert did_you_mean("x", []) == ""


def test_a_link_to_nothing_says_where_it_leads(tmp_path):
    (tmp_path / "a.svs").symlink_to(tmp_path / "gone.svs")
    assert no_such_file(tmp_path / "a.svs") == f"it is a link to {tmp_path / 'gone.svs'}, which does not exist"


def test_the_first_folder_that_is_not_there_is_named(tmp_path):
    assert no_such_file(tmp_path / "a" / "b" / "c.svs") == f"no such file, nor its folder {tmp_path / 'a'}"


def test_a_file_that_cannot_be_written_is_named_and_not_its_temporary_one(tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(errno.EACCES, "Permission denied", "/x/.run.json.abc.part")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(PermissionError) as error, whole_file(tmp_path / "run.json"):
        pass
    assert error.value.filename == str(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "run.json: no such file"),
        (b"", "damaged or cut off: it is not JSON at line 1"),
        (b'{"a": 1,\n', "damaged or cut off: it is not JSON at line 2"),
        (b"[1]", "contains no JSON object"),
        (b"\xff\xfe{\0", "byte 0 is not text in UTF-8"),
    ],
)
def test_a_record_that_is_not_what_was_written_says_why(content, message, tmp_path):
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "run.json")
