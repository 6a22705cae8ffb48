"""Report: sections written as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from sknic.files.whole import whole_file
from sknic.report.section import Section


@dataclass
class Report:
    """A report in one HTML file: no network, readable on a phone, on paper and by a screen reader.

    Parameters
    ----------
    title : str
        Title of the page.
    subtitle : str, default=""
        Line below the title.
    sections : list of Section, default=[]
        Sections of the page; `add_section` appends to it.
    """

    title: str
    subtitle: str = ""
    sections: list = field(default_factory=list)

    def add_section(self, heading: str) -> Section:
        """Add a new section.

        Parameters
        ----------
        heading : str
            Heading of the section.

        Returns
        -------
        Section
            The new, empty section.
        """
        self.sections.append(Section(heading))
        return self.sections[-1]

    def to_html(self) -> str:
        """Build the whole page.

        Returns
        -------
        str
            HTML.
        """
        assets = files("sknic.report") / "assets"
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        template = environment.from_string((assets / "report.html").read_text(encoding="utf-8"))
        return template.render(report=self, style=(assets / "report.css").read_text(encoding="utf-8"))

    def write(self, path: str | Path) -> Path:
        """Write the page to a file, completely or not at all.

        Parameters
        ----------
        path : str or Path
            File to write.

        Returns
        -------
        Path
            The file.
        """
        html = self.to_html()
        with whole_file(path) as temporary:
            temporary.write_text(html, encoding="utf-8", errors="backslashreplace")
        return Path(path)
