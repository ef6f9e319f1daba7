"""The options that several commands share, so that each means the same everywhere."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from aiodicom.standard.ae_titles import ae_title

if TYPE_CHECKING:
    from aiodicom.net.tuning import Choice

__all__ = [
    "AcseTimeout",
    "Associations",
    "AssociationsOrAuto",
    "CalledAet",
    "CallingAet",
    "ConnectTimeout",
    "Debug",
    "DimseTimeout",
    "Host",
    "Json",
    "JsonLines",
    "LocalAddress",
    "MaxPdu",
    "OwnAet",
    "Port",
    "Verbose",
    "Window",
    "WindowOrAuto",
    "choice",
    "finite",
    "grouped",
    "timeout",
]


def _ae_title(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return ae_title(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _number_or_auto(value: str | None) -> str | None:
    if value is not None and value != "auto" and not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise typer.BadParameter(f"{value!r} is neither a number from 1 to 65535 nor auto")
    return value


def _bytes(value: str) -> int:
    """A number of bytes, with K, M or G for units of 1,024."""
    number, unit = value[:-1], value[-1:].upper()
    if unit not in _UNITS:
        number, unit = value, ""
    if not (number.isascii() and number.isdigit()):
        raise typer.BadParameter(f"{value!r} is no number of bytes, such as 67108864, 64M or 1G")
    return int(number) * _UNITS[unit]


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a command some of whose parameters are groups of options: data classes, whose fields are the options.

    Each field becomes an option of the command, and the command gets the data class.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind))
            continue
        groups[name] = kind
        annotations = get_type_hints(kind, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotations[field.name]
            )
            for field in dataclasses.fields(kind)
        ]

    @functools.wraps(command)
    def run(**values: Any) -> Any:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
        return command(**values)

    keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def choice(value: str) -> Choice:
    """What an option of a number or "auto" means to the library."""
    return "auto" if value == "auto" else int(value)


def timeout(seconds: float) -> float | None:
    """What an option of seconds means to the library: 0 turns the timeout off."""
    return seconds or None


def finite(seconds: float) -> float:
    """Refuses the numbers of seconds that Python knows and no clock does."""
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is no number of seconds")
    return seconds


Host = Annotated[str, typer.Argument(metavar="HOST", show_default=False, help="Name or address of the peer.")]
Port = Annotated[
    int, typer.Argument(metavar="PORT", min=1, max=65535, show_default=False, help="TCP port that the peer listens on.")
]
CallingAet = Annotated[
    str, typer.Option("-aet", metavar="TITLE", callback=_ae_title, help="AE title that we call ourselves.")
]
CalledAet = Annotated[
    str, typer.Option("-aec", metavar="TITLE", callback=_ae_title, help="AE title that we call the peer.")
]
OwnAet = Annotated[
    str | None,
    typer.Option(
        "-aet",
        metavar="TITLE",
        callback=_ae_title,
        show_default=False,
        help="Our AE title; associations that call another are rejected. Without it, any is accepted.",
    ),
]
LocalAddress = Annotated[
    str | None,
    typer.Option(
        "--local-address", metavar="ADDRESS", show_default=False, help="Address of this machine to connect from."
    ),
]
ConnectTimeout = Annotated[
    float,
    typer.Option("--connect-timeout", metavar="SECONDS", min=0, callback=finite, help="For the connection; 0: none."),
]
AcseTimeout = Annotated[
    float,
    typer.Option(
        "--acse-timeout", metavar="SECONDS", min=0, callback=finite, help="For an answer on association level; 0: none."
    ),
]
DimseTimeout = Annotated[
    float,
    typer.Option(
        "--dimse-timeout", metavar="SECONDS", min=0, callback=finite, help="For the response to a request; 0: none."
    ),
]
Associations = Annotated[
    int, typer.Option("--associations", metavar="N", min=1, help="How many associations to use side by side.")
]
Window = Annotated[
    int,
    typer.Option(
        "--window",
        metavar="N",
        min=1,
        max=65535,
        help="Requests to have outstanding on an association, if the peer agrees (asynchronous operations).",
    ),
]
AssociationsOrAuto = Annotated[
    str,
    typer.Option(
        "--associations",
        metavar="N|auto",
        callback=_number_or_auto,
        help="How many associations to use side by side; auto: as many as bring gain.",
    ),
]
WindowOrAuto = Annotated[
    str,
    typer.Option(
        "--window",
        metavar="N|auto",
        callback=_number_or_auto,
        help="Requests to have outstanding on an association, if the peer agrees (asynchronous operations); auto: as "
        "many as bring gain.",
    ),
]
MaxPdu = Annotated[
    int,
    typer.Option("--max-pdu", metavar="BYTES", min=4096, max=2**31, help="Largest P-DATA-TF PDU that we take."),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="BYTES",
        parser=_bytes,
        show_default="a quarter of the memory, at most 1G",
        help="Received data that may be in memory at once, such as 64M; what is beyond goes to disk.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line, and nothing else.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Log what happens, to stderr.")]
Debug = Annotated[bool, typer.Option("-d", "--debug", help="Log PDUs and command sets too; patient data is masked.")]
