import os
import unicodedata

import numpy as np
import openpyxl
import pandas as pd
import pytest

from sknic.datasets.slide_files import walk
from sknic.datasets.table import need_patients, read_table, resolve_path, slide_paths, typed
from sknic.exceptions import DatasetError, SlideFailureWarning

ROWS = [["path", "patient", "score"], ["a.tiff", "007", "0,5"], ["Müller.tiff", "7", "1"]]


def write(path, rows=ROWS, separator=";", encoding="utf-8"):
    path.write_bytes("\n".join(separator.join(row) for row in rows).encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_every_encoding_and_separator_gives_the_same_text(encoding, separator, tmp_path):
    table = read_table(write(tmp_path / "t.csv", separator=separator, encoding=encoding))
    assert [list(table), *table.to_numpy().tolist()] == ROWS
    assert list(table.index) == [2, 3]


def test_commas_quotes_blank_lines_and_the_separator_that_excel_states(tmp_path):
    (tmp_path / "t.csv").write_text('sep=,\r\n path ,label\r\n"a, b.tiff", "01"\r\n\r\n c.tiff,1 \r\n', "utf-8")
    table = read_table(tmp_path / "t.csv")
    assert table["path"].tolist() == ["a, b.tiff", "c.tiff"]
    assert table["label"].tolist()[1] == "1"
    assert table.index.tolist() == [2, 4]


def test_a_comma_in_a_table_of_one_column_belongs_to_the_name(tmp_path):
    (tmp_path / "t.csv").write_text("path\na, b.tiff\n")
    assert read_table(tmp_path / "t.csv")["path"].tolist() == ["a, b.tiff"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"path,label\n", "no rows"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (b"PK\x03\x04rest", "Excel"),
        (b"<!DOCTYPE html><p>login", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x89HDF\r\n", "HDF5"),
        (bytes(range(256)), "binary"),
        (b"path,label\na.svs,1,2\n", "row 2 has 3 cells"),
    ],
)
def test_what_is_not_a_table_is_named(data, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_table(tmp_path / "t.csv")


def excel(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.active = len(sheets) - 1
    book.save(path)
    return path


def test_an_excel_file_of_one_sheet_is_read_as_text(tmp_path):
    rows = [["path", "patient", "score", "note"], ["a.svs", "007", 0.25, None], ["b.svs", "8", 3, None], [None] * 4]
    for sheets in ({"slides": rows}, {"slides": rows, "Sheet2": []}):
        table = read_table(excel(tmp_path / "t.xlsx", **sheets))
        assert table.values.tolist() == [["a.svs", "007", "0.25", ""], ["b.svs", "8", "3", ""]]
        assert table.index.tolist() == [2, 3]


def test_of_two_sheets_the_one_looked_at_last_is_not_chosen(tmp_path):
    new, old = [["path", "label"], ["a.svs", "1"]], [["path", "label"], ["a.svs", "0"]]
    with pytest.raises(DatasetError, match=r"2 sheets have cells \(new, old\); expected one"):
        read_table(excel(tmp_path / "t.xlsx", new=new, old=old))
    with pytest.raises(DatasetError, match=r"0 sheets have cells \(none\)"):
        read_table(excel(tmp_path / "empty.xlsx", new=[]))


def test_a_missing_column_is_answered_by_the_nearest_and_all(tmp_path):
    with pytest.raises(DatasetError, match=r"no column 'Patients'; it has 'path', .*did you mean 'patient'"):
        read_table(write(tmp_path / "t.csv"), ["Patients"])
    doubled = [["path", "path"], ["a", "b"]]
    with pytest.raises(DatasetError, match="2 columns named 'path'"):
        read_table(write(tmp_path / "t.csv", doubled), ["path"])


@pytest.mark.parametrize("cell", ["", "NaN", "NA", "#N/A"])
def test_an_empty_path_is_named_with_column_and_row(cell, tmp_path):
    table = read_table(write(tmp_path / "t.csv", [["path", "y"], ["a.svs", "1"], [cell, "2"]]))
    with pytest.raises(DatasetError, match="column 'path' is empty in row 3"):
        slide_paths(table, "path", tmp_path / "t.csv")


@pytest.mark.parametrize(("cell", "message"), [("1001", "is a number"), (r"C:\slides\a.svs", "Windows")])
def test_a_path_that_cannot_be_one_here_is_named(cell, message, tmp_path):
    table = read_table(write(tmp_path / "t.csv", [["path", "y"], [cell, "1"]]))
    with pytest.raises(DatasetError, match=f"column 'path', row 2: .*{message}"):
        slide_paths(table, "path", tmp_path / "t.csv")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_paths_are_found_however_they_are_written(form, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "sub" / unicodedata.normalize(form, "Müller  1.svs")
    file.parent.mkdir()
    file.touch()
    for written in ("sub/Müller  1.svs", "sub\\Müller  1.svs", "~/sub/Müller  1.svs", str(file), f"file://{file}"):
        assert os.path.samefile(resolve_path(written, tmp_path), file)


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "2"], "int64"),
        (["0.5", ""], "float64"),
        (["1e-3", "-2"], "float64"),
        (["True", "False"], "bool"),
        (["01", "1"], "object"),
        (["12345678901234567890", "1"], "object"),
        (["0,5", "1"], "object"),
    ],
)
def test_only_text_that_loses_nothing_becomes_a_number(cells, dtype):
    assert typed(pd.Series(cells, dtype=object)).dtype == dtype


def test_numbers_are_read_to_their_last_digit():
    numbers = np.random.RandomState(0).normal(size=1000)
    cells = pd.Series([*map(repr, numbers.tolist()), "", "-inf", "+.5"], dtype=object)
    assert (typed(cells)[:1000].to_numpy() == numbers).all()
    np.testing.assert_array_equal(typed(cells)[1000:], [np.nan, -np.inf, 0.5])
    assert typed(pd.Series(["1", "-2"], dtype=object)).tolist() == [1, -2]


def test_a_walk_follows_links_ends_loops_and_skips_what_is_hidden(tmp_path):
    store, root = tmp_path / "store", tmp_path / "root"
    for path in (store / "b.TIFF", root / "a.svs", root / "._a.svs", root / ".Trash-1000" / "old.svs", root / "x.txt"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (root / "link").symlink_to(store)
    (store / "back").symlink_to(root)
    (root / "broken.svs").symlink_to(tmp_path / "nowhere.svs")
    assert [os.path.basename(path) for path in walk(root)] == ["a.svs", "b.TIFF"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(SlideFailureWarning, match="closed"):
        assert walk(tmp_path) == []


def test_a_folder_with_one_table_names_it(tmp_path):
    (tmp_path / "cohort.csv").write_text("path\n")
    with pytest.raises(DatasetError, match=r"found a folder; did you mean .*cohort\.csv\?"):
        read_table(tmp_path, ["path"])


@pytest.mark.parametrize(
    "text, message",
    [
        ('path,note,score\na,"hot spot,1\nb,,2\nc,"unclear,3\n', "line 4: a quotation mark is not closed"),
        ('path,note,score\na,"hot spot,1\nb,,2\n', "line 3: a quotation mark is not closed"),
        ("path,score,age,note\na,1,54,x\nb,54,\n", "row 3 has 3 cells, but the header has 4 columns"),
    ],
)
def test_rows_are_neither_hidden_nor_shifted(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_table(tmp_path / "t.csv")


def test_a_quoted_cell_may_have_several_lines(tmp_path):
    (tmp_path / "t.csv").write_text('path,note\na,"two\nlines, ""quoted"""\n\nb,\n')
    assert read_table(tmp_path / "t.csv").values.tolist() == [["a", 'two\nlines, "quoted"'], ["b", ""]]


@pytest.mark.parametrize("text", ["2.02E+11", "2,02e+11", "2E+11"])
def test_an_id_that_excel_has_rounded_is_not_a_patient(text):
    with pytest.raises(DatasetError, match="row 3: a spreadsheet has rounded the id"):
        need_patients(pd.DataFrame({"patient": ["a", text]}, index=[2, 3]), "patient", "t.csv")
