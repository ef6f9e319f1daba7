"""The command line: `aiodicom COMMAND ...`, one module of this package a command.

Only the module of the command that was asked for is imported, so that a command starts as fast as its own imports.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer import Typer

__all__ = ["COMMANDS", "main", "make_app"]

#: Each is a module of this package, with the command as the function of the same name.
COMMANDS = ("echoscu", "storescu", "storescp", "dump", "dicomdir", "demo")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that `arguments` (default: those of the process) name, and exits the process.

    Exit code 0: full success. 1: something failed, stderr has a line. 2: the arguments are not understood.
    """
    try:
        import typer
    except ModuleNotFoundError:
        sys.stderr.write("aiodicom: the commands need more packages: pip install 'aiodicom[cli]'\n")
        sys.exit(1)
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    app = make_app(given[:1] if given[0] in COMMANDS else COMMANDS)
    # typer re-exports this one of the exceptions of its parser; its base is what they all are.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        code = app(given, prog_name="aiodicom", standalone_mode=False)
    except usage_error as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "aiodicom"
        message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
        sys.stderr.write(f"{path}: {message.rstrip('.')}. See: {path} --help\n")
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def make_app(commands: Sequence[str] = COMMANDS) -> Typer:
    """The application with these commands; the others are not imported."""
    import typer

    app = typer.Typer(
        help="DICOM networking and files: SCUs, SCPs, a demonstration of both, and what is in files.",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in commands:
        app.command(name)(getattr(import_module(f"aiodicom.cli.{name}"), name))
    return app


def _root() -> None:
    """DICOM networking and files: SCUs, SCPs, a demonstration of both, and what is in files."""
