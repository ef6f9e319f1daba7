"""`aiodicom dump`: what is in DICOM files, as text, DICOM JSON or native XML."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiodicom.cli import output, streams
from aiodicom.errors import DecodeError
from aiodicom.part10.reader import dcmread

if TYPE_CHECKING:
    from aiodicom.dataset import DataElement, Dataset

__all__ = ["dump"]

_COMMAND = "dump"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    XML = "xml"


class Bulk(StrEnum):
    INLINE = "inline"
    OMIT = "omit"


def dump(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False, help="Files; - is stdin.")],
    form: Annotated[
        Format, typer.Option("--format", help="text; json: one PS3.18 F object a line; xml: PS3.19 A.")
    ] = Format.TEXT,
    bulk: Annotated[
        Bulk, typer.Option("--bulk", help="Binary values in json and xml: inline in base64, or omit.")
    ] = Bulk.INLINE,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEYWORD", show_default=False, help="Only this element (repeatable)."),
    ] = None,
) -> None:
    """Show what is in DICOM files.

    Example: aiodicom dump slice.dcm --tag PatientName --tag PixelSpacing
    """
    wanted = [_tag(text) for text in tags or ()]
    failed = False
    try:
        for file in files:
            failed |= not _dump(file, form, bulk, wanted, len(files) > 1)
        sys.stdout.flush()
    except BrokenPipeError:
        streams.is_gone(sys.stdout)
    if failed:
        raise typer.Exit(1)


def _tag(text: str) -> int:
    from aiodicom.dataset._dataset import to_tag

    try:
        return to_tag(text)
    except (KeyError, ValueError):
        raise typer.BadParameter(
            f"{output.quoted(text)} is neither a keyword nor a tag such as 0010,0010", param_hint="'--tag'"
        ) from None


def _dump(file: str, form: Format, bulk: Bulk, wanted: list[int], titled: bool) -> bool:
    """Writes one file to stdout; False where that failed, and stderr says why."""
    # Elements behind the last one that is wanted need not be read.
    stop_before = max(wanted) + 1 if wanted and max(wanted) < 0xFFFFFFFF else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            source: Any = sys.stdin.buffer if file == "-" else Path(file)
            data_set = dcmread(source, stop_before=stop_before)
            for text in _rendered(data_set, form, bulk, wanted, file if titled else ""):
                sys.stdout.write(text)
        except BrokenPipeError:
            raise
        except (OSError, DecodeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            output.note(_COMMAND, f"{file}: {reason}")
            return False
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        output.note(_COMMAND, f"{file}: {message}")
    if data_set.truncated is not None:
        output.note(_COMMAND, f"{file}: {data_set.truncated}")
        return False
    return True


def _rendered(data_set: Dataset, form: Format, bulk: Bulk, wanted: list[int], title: str) -> Iterator[str]:
    from aiodicom.dataset import Dataset

    if form is Format.TEXT:
        yield from _Text(title).lines(data_set, wanted)
        return
    if wanted:
        data_set = Dataset(data_set[tag].__copy__() for tag in wanted if tag in data_set)
    if form is Format.JSON:
        from aiodicom.dataset.json import to_json

        yield output.json_on_stdout(to_json(data_set, bulk=bulk.value)) + "\n"
    else:
        from aiodicom.dataset.xml import to_xml

        text = to_xml(data_set, bulk=bulk.value)
        # It says that it is UTF-8, which ASCII is, too.
        yield text if streams.is_unicode(sys.stdout) else text.encode("ascii", "xmlcharrefreplace").decode()


#: What of a value is looked at where nobody's screen says how much fits.
_LONGEST = 1024


class _Text:
    """Elements as lines: tag, VR, keyword, value; coloured and cut to the width of a terminal where there is one."""

    def __init__(self, title: str) -> None:
        person = sys.stdout.isatty()
        self.coloured = person and not os.environ.get("NO_COLOR")
        self.width = shutil.get_terminal_size().columns if person or os.environ.get("COLUMNS") else 0
        self.title = title

    def lines(self, data_set: Dataset, wanted: list[int]) -> Iterator[str]:
        if self.title:
            yield self.paint("1", f"# {output.printable(self.title)}") + "\n"
        parts = [part for part in (data_set.file_meta, data_set) if part is not None]
        rows = [row for part in parts for row in self.rows(part, wanted)]
        column = max((len(head) for head, _, _ in rows), default=0)
        for head, vr, value in rows:
            yield self.line(head, vr, value, column)

    def rows(self, data_set: Dataset, wanted: list[int]) -> Iterator[tuple[str, str, str]]:
        """Head (indented, tag and name), VR and value of each line."""
        waiting: list[tuple[int, Iterator[Any]]] = [(0, iter(data_set))]
        while waiting:
            depth, several = waiting[-1]
            one = next(several, None)
            indent = "  " * depth
            if one is None:
                waiting.pop()
            elif isinstance(one, tuple):
                number, item = one
                yield f"{indent}item {number}", "", ""
                waiting.append((depth + 1, iter(item)))
            elif depth or not wanted or one.tag in wanted:
                name = output.printable(one.keyword or one.name)
                head = f"{indent}({one.tag >> 16:04X},{one.tag & 0xFFFF:04X}) {name}"
                yield head, one.vr, _value_text(one, self.width or _LONGEST)
                if one.vr == "SQ":
                    waiting.append((depth + 1, iter(enumerate(one.value, 1))))

    def line(self, head: str, vr: str, value: str, column: int) -> str:
        if not vr:
            return self.paint("2", head) + "\n"
        if self.width:
            room = self.width - column - 4
            value = value if len(value) <= room else value[: max(room - 1, 0)] + "…"
        tag_end = head.index(")") + 1
        text = f"{self.paint('2', head[:tag_end])}{self.paint('36', head[tag_end:])}{' ' * (column - len(head))}"
        return f"{text} {self.paint('33', vr)} {value}".rstrip() + "\n"

    def paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured else text


def _value_text(element: DataElement, longest: int) -> str:
    vr = element.vr
    if vr == "SQ":
        count = len(element.value)
        return f"{count} item{'' if count == 1 else 's'}"
    if element.is_empty:
        return ""
    if element.deferred:
        return f"{element.length:,} bytes"
    value = element.value
    if isinstance(value, (bytes, bytearray, memoryview)):
        start = " ".join(f"{byte:02x}" for byte in bytes(value[:16]))
        return f"{element.length:,} bytes: {start}{' …' if len(value) > 16 else ''}"
    values = value if isinstance(value, list) else [value]
    # No more values than can be seen, each of which takes two places or more.
    text = "\\".join([_one_text(vr, one) for one in values[: longest // 2 + 1]])
    return output.printable(text if len(text) <= longest else text[:longest] + "…")


def _one_text(vr: str, value: Any) -> str:
    if value is None:
        return ""
    if vr == "AT":
        return f"({value >> 16:04X},{value & 0xFFFF:04X})"
    if vr == "UI":
        from aiodicom.standard.uids import uid_name

        name = uid_name(str(value))
        return str(value) if name == value else f"{value} ({name})"
    return str(value)
