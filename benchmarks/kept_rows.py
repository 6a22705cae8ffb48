"""Rows of a long benchmark in a CSV that grows by one line per run, so that an interrupted benchmark can be resumed."""

import csv
import os


class KeptRows:
    """The runs that are done.

    Parameters
    ----------
    path : Path
        CSV file; it need not exist yet.
    key : sequence of str
        Columns that tell one run from another.
    columns : sequence of str
        All columns, the key first.
    """

    def __init__(self, path, key, columns):
        self.path, self.key, self.columns = path, key, columns
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a killed run leaves half a line
        if whole != text:
            path.write_text(whole)
        self.rows = list(csv.DictReader(whole.splitlines()))

    def __contains__(self, values):
        return tuple(map(str, values)) in {tuple(row[name] for name in self.key) for row in self.rows}

    def add(self, row):
        """Write a row down at once."""
        is_new = not self.path.exists() or not self.path.stat().st_size
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if is_new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())
        self.rows.append({name: str(value) for name, value in row.items()})
