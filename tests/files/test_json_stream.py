"""JSON read item by item gives what json gives, wherever the pieces end, and its errors at the same place."""

import gzip
import json
import tracemalloc

import numpy as np
import pytest

from sknic.files import json_stream
from sknic.files.json_stream import stream_items

ITEMS = [{"a": [1, -2.5e-3, 'é"\\\n\u2028', None, True]}, 12345, "x" * 300, [], {}, [[0.1, 2], [3, 4e10]], "😀"]


def write(path, text, encoding="utf-8"):
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture(params=[4, 5, 7, 50, 1 << 20])
def chunk(request, monkeypatch):
    """Pieces that end everywhere: inside numbers, escapes and characters of several bytes."""
    monkeypatch.setattr(json_stream, "CHUNK", request.param)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("indent", [None, 2])
def test_items_are_those_of_json(tmp_path, chunk, encoding, indent):
    text = json.dumps(ITEMS, indent=indent, ensure_ascii=False)
    assert list(stream_items(write(tmp_path / "a.json", text, encoding), "features")) == ITEMS
    document = {"type": "T", "n": 123456789, "features": ITEMS, "end": {"features": [1]}}
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    *items, rest = stream_items(write(tmp_path / "a.json.gz", text, encoding), "features")
    assert items == ITEMS and rest == {**document, "features": []}


@pytest.mark.parametrize("document", [{}, {"features": None}, {"a": 1}, 12, "text", None])
def test_what_has_no_items_is_given_whole(tmp_path, chunk, document):
    assert list(stream_items(write(tmp_path / "a.json", f" {json.dumps(document)} "), "features")) == [document]


def test_nothing_but_the_object_is_left_of_no_items(tmp_path):
    assert list(stream_items(write(tmp_path / "a.json", '{"features": []}'), "features")) == [{"features": []}]
    assert list(stream_items(write(tmp_path / "a.json", " [ ] "), "features")) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1, 2",
        "[1 2]",
        "[1,]",
        "[1] 2",
        '{"a": 1,\n  "b" 2}',
        "{1: 2}",
        '{"a": 1',
        '{"a"',
        '[\n"abc',
        '["a",\n\n  tru]',
        '[{"a":\n  [1, 2,, 3]}, 4]',
        '{"features": [{"a": 1}, {"a" 1}]}',
        '["\\x"]',
        '["a\nb"]',
    ],
)
def test_an_error_is_where_json_finds_it(tmp_path, monkeypatch, text):
    monkeypatch.setattr(json_stream, "CHUNK", 5)
    with pytest.raises(json.JSONDecodeError) as wanted:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as found:
        list(stream_items(write(tmp_path / "a.json", text), "features"))
    if text != "[1,]":  # of which json names the comma
        assert (found.value.lineno, found.value.colno) == (wanted.value.lineno, wanted.value.colno)


def test_a_byte_that_is_not_text_is_named_by_its_place(tmp_path, chunk):
    data = '["é'.encode() + b"a" * 20 + b"\xff" + b'b"]'
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(UnicodeDecodeError) as found:
        list(stream_items(tmp_path / "a.json", "features"))
    assert found.value.start == data.index(b"\xff")


def test_a_large_file_takes_little_memory(tmp_path):
    ring = np.round(np.random.default_rng(0).random((20, 2)) * 1e4, 2).tolist()
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    text = json.dumps({"type": "FeatureCollection", "features": [feature] * 40_000})
    path = write(tmp_path / "cells.geojson.gz", text)
    tracemalloc.start()
    n = sum(1 for _ in stream_items(path, "features"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 40_001 and len(text) > 15e6 and peak < 8e6
