"""Builds the compiled modules of aiodicom; everything else about the package is in pyproject.toml.

Switches, set in the environment:

    AIODICOM_ANNOTATE=1    write ext/*.html, Cython's view of which lines touch Python
    AIODICOM_LINETRACE=1   line tracing, for coverage of the .pyx files
    AIODICOM_DEBUG=1       no optimisation, debug symbols, C assertions
    AIODICOM_SANITIZE=1    AddressSanitizer and UndefinedBehaviorSanitizer
"""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup


def switch(name: str) -> bool:
    return os.environ.get(f"AIODICOM_{name}", "") not in ("", "0")


annotate, linetrace, debug, sanitize = (switch(name) for name in ("ANNOTATE", "LINETRACE", "DEBUG", "SANITIZE"))

compile_args: list[str] = []
link_args: list[str] = []
macros: list[tuple[str, str | None]] = []
if sys.platform != "win32":
    if sanitize:
        flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
        # Cython's argument parsing adds 0 to NULL, which clang would stop at.
        flags.append("-fno-sanitize=pointer-overflow")
        compile_args += ["-O1", "-g", *flags]
        link_args += flags
    elif debug:
        compile_args += ["-O0", "-g3", "-UNDEBUG"]
    else:
        compile_args += ["-O3"]
        if sys.platform == "linux":
            # An operation runs through more code than a processor's near caches hold. So a call of the interpreter's
            # functions is one jump in place of two, and what Cython calls unlikely lies apart (gcc; clang warns that it
            # does not know the second option). See docs/performance.md.
            compile_args += ["-fno-plt", "--param=builtin-expect-probability=100"]
if linetrace:
    macros.append(("CYTHON_TRACE_NOGIL", "1"))


def extension(module: str, source: str) -> Extension:
    return Extension(
        module,
        [f"ext/{source}"],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=macros,
        depends=["setup.py"],  # whose options are in what is built
    )


extensions = [
    extension("aiodicom._values", "values.pyx"),
    extension("aiodicom.dataset._dataset", "dataset.pyx"),
    extension("aiodicom.dimse._command", "command.pyx"),
    extension("aiodicom.dimse._exchange", "exchange.pyx"),
    extension("aiodicom.dimse._operations", "operations.pyx"),
    extension("aiodicom.net._data_sets", "data_sets.pyx"),
    extension("aiodicom.net._invoking", "invoking.pyx"),
    extension("aiodicom.net._outbox", "outbox.pyx"),
    extension("aiodicom.net._performing", "performing.pyx"),
    extension("aiodicom.net._pooling", "pooling.pyx"),
    extension("aiodicom.net._priority", "priority.pyx"),
    extension("aiodicom.net._retrieving", "retrieving.pyx"),
    extension("aiodicom.net._steps", "steps.pyx"),
    extension("aiodicom.net._transport", "transport.pyx"),
    extension("aiodicom.pixels._markers", "markers.pyx"),
    extension("aiodicom.pixels._pixels", "pixels.pyx"),
    extension("aiodicom.pixels._rle", "rle.pyx"),
    extension("aiodicom.standard._valid_uids", "uids.pyx"),
    extension("aiodicom.store._files", "files.pyx"),
    extension("aiodicom.store._writers", "writers.pyx"),
    extension("aiodicom.ul._pdu", "pdu.pyx"),
]

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["ext"],
        annotate=annotate,
        compiler_directives={
            "language_level": "3",
            # What has memory of its own, or belongs to an association, is not copied by its fields.
            "auto_pickle": False,
            "embedsignature": True,
            "binding": False,
            "boundscheck": debug or sanitize,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": debug or sanitize,
            "nonecheck": debug or sanitize,
            "linetrace": linetrace,
        },
    ),
)
