"""The command line: `aiodicom COMMAND ...`, one module of this package a command.

Only the module of the command that was asked for is imported, so that a command starts as fast as its own imports.
"""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import aiodicom
from aiodicom.cli.streams import flush, prepare, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer import Typer

__all__ = ["COMMANDS", "SUBCOMMANDS", "main", "make_app"]

#: Each is a module of this package, with the command as the function of the same name.
COMMANDS = (
    "echoscu",
    "findscu",
    "getscu",
    "movescu",
    "storescu",
    "commitscu",
    "worklist",
    "mpps",
    "storescp",
    "dump",
    "dicomdir",
    "transcode",
    "deidentify",
    "render",
    "route",
    "generate",
    "load",
    "demo",
)

#: Commands that are packages with further commands in them. A first argument that names none of these is the
#: command's own.
SUBCOMMANDS: dict[str, tuple[str, ...]] = {
    "load": ("target", "record", "compare", "merge"),
    "route": ("status", "queue", "retry", "hold", "release", "drop"),
}


_HELP = "DICOM networking and files: SCUs, SCPs, a demonstration of both, and what is in files."


#: What the parser of the arguments calls numbers, and what they are.
_NUMBERS = {
    "integer range": "whole number",
    "int range": "whole number",
    "integer": "whole number",
    "int": "whole number",
    "float range": "number",
    "float": "number",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that `arguments` (default: those of the process) name, and exits the process.

    Exit code 0: full success. 1: something failed, stderr has a line. 2: the arguments are not understood. 130: SIGINT
    came before there was anything to end.
    """
    prepare()
    try:
        _main(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        flush()


def _main(arguments: Sequence[str] | None) -> None:
    # What is left at the end goes with the process: collecting it takes longer than many a command.
    atexit.register(gc.freeze)
    # What is imported stays: looking through it again and again for what does not is a twentieth of the start.
    gc.disable()
    try:
        name, given, app = _prepared(arguments)
    finally:
        gc.enable()
    import typer

    from aiodicom.cli.output import explain, note_warnings

    note_warnings(_path(name, given).partition(" ")[2])
    # typer re-exports this one of the exceptions of its parser; its base is what they all are.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        code = app(given, prog_name=name, standalone_mode=False)
    except usage_error as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else _path(name, given)
        message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
        for kind, name in _NUMBERS.items():
            message = message.replace(f"is not a valid {kind}", f"is no {name}")
        if not message.endswith(("?", ".")):
            message += "."
        tell(f"{path}: {message} See: {path} --help")
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    except OSError as error:  # of --version, say; most commands tell of theirs
        tell(f"{name}: {explain(error)}")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _prepared(arguments: Sequence[str] | None) -> tuple[str, list[str], Typer]:
    """The name of the program, the arguments that are left for it, and its commands, imported."""
    try:
        import typer  # noqa: F401  (to say so where it is missing)
    except ModuleNotFoundError:
        tell("aiodicom: the commands need more packages: pip install 'aiodicom[cli]'")
        sys.exit(1)
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    name = "aiodicom"
    if given[1:2] and given[1] in SUBCOMMANDS.get(given[0], ()):
        group = given.pop(0)
        name = f"aiodicom {group}"
        try:
            app = make_app(given[:1], f"aiodicom.cli.{group}")
        except ModuleNotFoundError:
            tell(f"{name} {given[0]}: this command needs more packages: pip install 'aiodicom[{group}]'")
            sys.exit(1)
    else:
        app = make_app(given[:1] if given[0] in COMMANDS else COMMANDS)
    return name, given, app


def _path(name: str, given: Sequence[str]) -> str:
    """The command, where the parser has not said which one it is."""
    group = name.partition(" ")[2]
    return f"{name} {given[0]}" if given[0] in (SUBCOMMANDS.get(group) or COMMANDS) else name


def make_app(commands: Sequence[str] = COMMANDS, package: str = "aiodicom.cli") -> Typer:
    """The application with these commands of a package; the others are not imported."""
    import typer
    from typer.core import TyperCommand

    class Command(TyperCommand):
        """A command whose usage shows its arguments as they are given, without the braces of some versions of typer."""

        def collect_usage_pieces(self, ctx: Any) -> list[str]:
            return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    app = typer.Typer(
        help=_HELP,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def show_version(is_wanted: bool) -> None:
        if is_wanted:
            typer.echo(f"aiodicom {aiodicom.__version__}")
            raise typer.Exit

    def root(
        _version: bool = typer.Option(
            False, "--version", callback=show_version, is_eager=True, help="Show the version."
        ),
    ) -> None:
        pass

    app.callback()(root)
    for name in commands:
        command = getattr(import_module(f"{package}.{name}"), name)
        app.command(name, cls=Command, help=_help_of(command))(command)
    return app


def _help_of(command: Callable[..., Any]) -> str:
    """What the docstring of a command says, each paragraph in one line: typer wraps no others than the first."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (command.__doc__ or "").split("\n\n"))
