"""Data sets as a table for people: a line each, as wide as the terminal; or, where that is too narrow, a block each."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from aiodicom.cli import output
from aiodicom.cli.keys import Path, find_values, path_text, vr_of
from aiodicom.standard.uids import uid_name

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset

__all__ = ["Column", "Table", "columns_for", "text_of"]

#: Rows whose widths the columns are made for; those behind them are cut or filled up to these.
_MEASURED: Final = 100
#: A column of text that would have to be narrower tells nothing any more, nor would such a heading.
_NARROWEST: Final = 8
_NARROWEST_HEADING: Final = 4
_GAP: Final = "  "
#: What of a value is looked at.
_LONGEST: Final = 1024
#: Keywords that are longer than any value of them.
_HEADINGS: Final = {
    "AccessionNumber": "Accession",
    "BodyPartExamined": "BodyPart",
    "InstanceNumber": "Number",
    "ModalitiesInStudy": "Modality",
    "NumberOfPatientRelatedInstances": "Instances",
    "NumberOfPatientRelatedSeries": "Series",
    "NumberOfPatientRelatedStudies": "Studies",
    "NumberOfSeriesRelatedInstances": "Instances",
    "NumberOfStudyRelatedInstances": "Instances",
    "NumberOfStudyRelatedSeries": "Series",
    "PatientBirthDate": "BirthDate",
    "PatientSex": "Sex",
    "ScheduledProcedureStepDescription": "Description",
    "ScheduledProcedureStepStartDate": "Date",
    "ScheduledProcedureStepStartTime": "Time",
    "ScheduledStationAETitle": "Station",
    "SeriesNumber": "Number",
}
_ELASTIC: Final = frozenset(("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"))
_RIGHT: Final = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))


class Column(NamedTuple):
    """A column of a table."""

    heading: str
    #: what it is called where there is room
    name: str
    is_right: bool = False
    #: what is too long may be cut
    is_elastic: bool = True
    #: of a value that is cut the end is shown, which tells it from others
    is_uid: bool = False


def columns_for(paths: Sequence[Path]) -> list[Column]:
    """The columns of attributes."""
    names = [path_text(path[-1:]) for path in paths]
    columns = []
    for path, name in zip(paths, names, strict=True):
        vr = vr_of(path[-1].tag)
        in_full = name if names.count(name) == 1 else path_text(path)
        columns.append(Column(_HEADINGS.get(name, name), in_full, vr in _RIGHT, vr in _ELASTIC, vr == "UI"))
    return columns


class Table:
    """Rows as they come. The first ones wait until it is known how wide the columns are to be.

    Without a `width` nothing is cut. With `is_list` there is a block for each row.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        width: int | None,
        is_coloured: bool = False,
        is_list: bool = False,
        write: Callable[[str], object] = output.result,
    ) -> None:
        self._columns = columns
        self._width = width
        self._is_coloured = is_coloured
        self._is_list = is_list
        self._write = write
        self._waiting: list[Sequence[str]] = []
        self._widths: list[int] | None = None
        self._is_begun = False
        #: Whether something did not fit.
        self.is_cut = False

    @classmethod
    def on_stdout(cls, columns: Sequence[Column], *, is_list: bool = False) -> Table:
        """A table for whoever looks at stdout: in full unless that is a terminal."""
        is_terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal or os.environ.get("COLUMNS") else None
        is_coloured = is_terminal and not os.environ.get("NO_COLOR")
        return cls(columns, width=width, is_coloured=is_coloured, is_list=is_list)

    def add(self, row: Sequence[str]) -> None:
        """One more row."""
        if self._is_begun:
            self._show(row)
            return
        self._waiting.append(row)
        if len(self._waiting) >= _MEASURED:
            self.flush()

    def flush(self) -> None:
        """Shows what is waiting."""
        if self._is_begun or not self._waiting:
            return
        self._is_begun = True
        self._widths = None if self._is_list else self._fitting()
        if self._widths is not None:
            self._line([column.heading for column in self._columns], "1")
        for row in self._waiting:
            self._show(row)
        self._waiting = []

    def _fitting(self) -> list[int] | None:
        """The widths of the columns; None where there is no room for all.

        What is too much is taken from headings that are wider than what is below them, and then from the widest texts:
        dates, codes and numbers stay whole.
        """
        values = [
            max(_NARROWEST_HEADING, *(cell_len(row[number]) for row in self._waiting))
            for number in range(len(self._columns))
        ]
        widths = [max(value, cell_len(column.heading)) for value, column in zip(values, self._columns, strict=True)]
        if self._width is None:
            return widths
        room = self._width - len(_GAP) * (len(widths) - 1)
        elastic = [column.is_elastic for column in self._columns]
        least = [min(width, _NARROWEST) if soft else width for width, soft in zip(values, elastic, strict=True)]
        widths = _narrowed(_narrowed(widths, values, room), least, room)
        return widths if sum(widths) <= room else None

    def _show(self, row: Sequence[str]) -> None:
        if self._widths is None:
            longest = max(cell_len(column.name) for column in self._columns)
            for column, text in zip(self._columns, row, strict=True):
                self._write(f"{self._paint(column.name.ljust(longest), '2')}{_GAP}{text}".rstrip())
            self._write("")
        else:
            self._line(row)

    def _line(self, row: Sequence[str], code: str = "") -> None:
        assert self._widths is not None
        cells = []
        for column, width, text in zip(self._columns, self._widths, row, strict=True):
            length = cell_len(text)
            if length > width and self._width is not None:
                self.is_cut |= not code
                text = _end(text, width) if column.is_uid and not code else set_cell_size(text, width - 1) + "…"
            elif length < width:
                text = " " * (width - length) + text if column.is_right else text + " " * (width - length)
            cells.append(text)
        self._write(self._paint(_GAP.join(cells).rstrip(), code))

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._is_coloured and code else text


def _narrowed(widths: list[int], least: list[int], room: int) -> list[int]:
    """The widths, the widest ones narrowed until there is room for all or each is the least that it can be."""
    widths = list(widths)
    for _ in range(sum(widths) - room):
        width, number = max(
            ((width, number) for number, width in enumerate(widths) if width > least[number]), default=(0, 0)
        )
        if width:
            widths[number] -= 1
    return widths


def _end(text: str, width: int) -> str:
    """The end of a text that is too long."""
    return "…" + text[-(width - 1) :]


# --- values ----------------------------------------------------------------------------------------------------------


def text_of(data_set: Dataset, path: Path) -> str:
    """What people read at a path of a data set; of several items what all have."""
    found = [_element_text(element) for element in find_values(data_set, path)]
    return output.printable("\\".join(dict.fromkeys(filter(None, found))))


def _element_text(element: Any) -> str:
    if element.vr == "SQ":
        return output.count(len(element.value), "item") if len(element.value) else ""
    if element.is_empty:
        return ""
    value = element.value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value):,} bytes"
    return "\\".join(_one_text(element.vr, each) for each in element.values)[:_LONGEST]


def _one_text(vr: str, value: Any) -> str:
    match vr:
        case "DA":
            return value.date.isoformat() if value.date is not None else str(value)
        case "TM":
            return value.time.strftime("%H:%M:%S") if value.time is not None else str(value)
        case "DT":
            return value.datetime.isoformat(" ", "seconds") if value.datetime is not None else str(value)
        case "PN":
            return _person(str(value))
        case "UI":
            return uid_name(str(value))
        case "AT":
            return f"({value >> 16:04X},{value & 0xFFFF:04X})"
        case _:
            return "" if value is None else str(value).strip()


def _person(text: str) -> str:
    """A name as it is spoken of: ``Doe, Jane``; the alphabetic and the ideographic group (PS3.5 6.2.1)."""
    groups = []
    for group in text.split("=")[:2]:
        family, given, middle, prefix, suffix = (*(part.strip() for part in group.split("^")), *[""] * 5)[:5]
        first = " ".join(filter(None, (prefix, given, middle)))
        groups.append(", ".join(filter(None, (family, first, suffix))))
    return " = ".join(filter(None, groups))
