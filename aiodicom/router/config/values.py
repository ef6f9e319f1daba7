"""Values that are more than TOML's own: each is made of what stands in the file, or says what would be right."""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import time
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

import msgspec

from aiodicom.errors import ConditionError
from aiodicom.router.conditions.parser import parse, parse_path
from aiodicom.services.naming import FileTemplate
from aiodicom.standard.ae_titles import ae_title
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.standard.transfer_syntaxes import named_transfer_syntax

__all__ = [
    "AETitle",
    "Address",
    "Attribute",
    "Bytes",
    "Expression",
    "FilePath",
    "FolderTemplate",
    "Hook",
    "HostName",
    "InputFile",
    "PathTemplate",
    "PostgresUrl",
    "Seconds",
    "Section",
    "StatusCode",
    "StoreUrl",
    "SyntaxName",
    "TimeOfDay",
    "Value",
    "WebUrl",
    "key_path",
    "shown",
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Value:
    """A value that `read` makes of what stands in the file; `base` is the folder that the file is in.

    It raises ValueError with what is wanted and what there is.
    """

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        raise NotImplementedError


def _not(wanted: str, value: Any) -> ValueError:
    return ValueError(f"{wanted} is wanted, not {shown(value)}")


def key_path(path: str, key: str) -> str:
    """A key behind the path of its table, quoted where TOML would have it so."""
    if not key or not all(c.isascii() and (c.isalnum() or c in "-_") for c in key):
        key = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{path}.{key}" if path else key


def shown(value: Any) -> str:
    """A value as a line may have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _text(value: Any, wanted: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _not(wanted, value)
    return value


_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST: Final = 100 * 366 * 86400.0


class Seconds(float, Value):
    """A span of time: a number of seconds, or a text such as ``"250ms"``, ``"30s"``, ``"5m"``, ``"2h"`` or ``"7d"``."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        found = _SECONDS.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is not None:
            seconds = float(found[1]) * _UNITS[found[2]]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = float(value)
        else:
            raise _not('a time, such as 30 (seconds), "5m" or "7d",', value)
        if not 0 <= seconds <= _LONGEST:
            raise _not("a time from 0 to 100 years", value)
        return cls(seconds)


_BYTES: Final = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.ASCII)


class Bytes(int, Value):
    """A number of bytes, or a text with a unit of 1,024: ``"64K"``, ``"256M"``, ``"10G"``, ``"1T"``."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        found = _BYTES.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 32 else None
        if found is not None:
            size = int(found[1]) << 10 * ("", "K", "M", "G", "T").index(found[2])
        elif isinstance(value, int) and not isinstance(value, bool):
            size = value
        else:
            raise _not('a number of bytes, such as 1048576, "256M" or "10G",', value)
        if not 0 <= size < 1 << 63:
            raise _not("a number of bytes of 0 or more", value)
        return cls(size)


class AETitle(str, Value):
    """An AE title (PS3.5 6.2)."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        return cls(ae_title(_text(value, "an AE title")))


class Address(str, Value):
    """An address or a network, such as ``10.1.0.0/16`` or ``::1``."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        text = _text(value, "an address or network")
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise _not("an address or a network, such as 10.1.2.3 or 10.1.0.0/16,", value) from None
        return cls(text)


class HostName(str, Value):
    """The name of a machine, or its address."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        # What names there are is for the resolver to say; these are mistakes in any case, such as a URL.
        if not isinstance(value, str) or not re.fullmatch(r"[\w.:%-]{1,255}", value) or value.isdecimal():
            raise _not('a host, such as "pacs.example.org", "10.1.2.3" or "::1",', value)
        return cls(value)


class FilePath(str, Value):
    """A path; a relative one is of the folder that the configuration is in."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        text = _text(value, "a path")
        if "\0" in text:
            raise _not("a path", value)
        return cls(base / os.path.expanduser(text))


class InputFile(FilePath):
    """The path of a file that is there and may be read."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        path = super().read(value, base)
        if not os.path.exists(path):
            raise ValueError(f"there is no file {path}")
        if not os.access(path, os.R_OK):
            raise ValueError(f"{path} may not be read by this user")
        return path


class Expression(str, Value):
    """A condition: see `aiodicom.router.conditions`. What it calls is checked when all plug-ins are known."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        text = _text(value, "a condition, such as 'Modality == \"CT\"',")
        try:
            parse(text)
        except ConditionError as error:
            raise ValueError(str(error)) from None
        return cls(text)


class Attribute(str, Value):
    """The path of an attribute, as in conditions."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        text = _text(value, "an attribute, such as PatientID or (0010,0020),")
        try:
            parse_path(text)
        except ConditionError as error:
            raise ValueError(str(error)) from None
        return cls(text)


class PathTemplate(str, Value):
    """A template of the paths of files: see `aiodicom.services.naming`."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        text = _text(value, "a path, such as out/{StudyInstanceUID}/{SOPInstanceUID}.dcm,")
        FileTemplate(text)
        return cls(text)


class FolderTemplate(PathTemplate):
    """A template of paths; a relative one is of the folder that the configuration is in."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        template = super().read(value, base)
        folder = str(base).replace("{", "{{").replace("}", "}}")
        return cls(template if os.path.isabs(template) else os.path.join(folder, template))


class SyntaxName(str, Value):
    """The UID of a transfer syntax, written as that or by its short name, such as ``jpeg-2000-lossless``."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        return cls(named_transfer_syntax(_text(value, "a transfer syntax")).uid)


class StatusCode(int, Value):
    """A failure of C-STORE (PS3.4 table B.2-1), four hexadecimal digits: ``"A700"``."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f]{4}[hH]?", value):
            raise _not('a status of four hexadecimal digits, such as "A700",', value)
        status = cls(int(value[:4], 16))
        if Status(status).category is not StatusCategory.FAILURE:
            raise ValueError(f"{value} is no failure")
        return status


class TimeOfDay(str, Value):
    """A time of day, ``"HH:MM"`` or TOML's ``HH:MM:SS``; ``"24:00"`` is the end of the day."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        if isinstance(value, time):
            return cls(f"{value.hour:02}:{value.minute:02}")
        if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", value, re.ASCII):
            raise _not('a time of day, such as "22:00",', value)
        return cls(value)

    @property
    def minutes(self) -> int:
        """Since midnight."""
        return int(self[:2]) * 60 + int(self[3:])


class _Url(str, Value):
    __slots__ = ()

    schemes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        wanted = f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in cls.schemes)}"
        text = _text(value, wanted)
        try:
            parts = urlsplit(text)
            is_good = parts.scheme in cls.schemes and bool(parts.netloc or parts.scheme == "file")
            _ = parts.port if parts.scheme in ("http", "https") else None
        except ValueError:
            is_good = False
        if not is_good:
            raise _not(wanted, _without_password(text))
        return cls(text)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//...@", url)


class WebUrl(_Url):
    """Of a DICOMweb service."""

    __slots__ = ()
    schemes = ("https", "http")


class PostgresUrl(_Url):
    """Of a PostgreSQL database."""

    __slots__ = ()
    schemes = ("postgresql", "postgres")


class StoreUrl(_Url):
    """Of a place in an object store."""

    __slots__ = ()
    schemes = ("s3", "gs", "az", "file")


class Hook(str, Value):
    """A function of a module that can be imported: ``"hospital.tokens:current"``."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any, base: Path) -> Self:
        text = _text(value, "a function, such as hospital.tokens:current,")
        module, colon, name = text.partition(":")
        if not colon or not name.isidentifier():
            raise _not("a function, such as hospital.tokens:current,", value)
        try:
            function = getattr(import_module(module), name)
        except Exception as error:
            raise ValueError(f"{text} cannot be imported: {error}") from None
        if not callable(function):
            raise ValueError(f"{text} is no function, but {type(function).__name__}")
        return cls(text)
