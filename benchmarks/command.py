"""The command line of the comparisons, whichever rows they have."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import TOOLS, Bench, Rows, Tools
from benchmarks.comparison import Outcome, run, table
from benchmarks.report import as_json, setting


def main(program: str, description: str, modules: Sequence[Rows]) -> int:
    """Runs the rows that the command line asks for. Returns the exit code.

    1 when one of ours failed to do its work, or (but with --quick) missed a target.
    """
    parser = _parser(program, description)
    options = parser.parse_args()
    _allow_many_files()
    with tempfile.TemporaryDirectory(prefix="aiodicom-bench-", dir=options.folder) as name:
        bench = Bench(Tools(options.tools, Path(name)), Path(name), options.quick)
        wanted = [
            planned for rows in modules for planned in rows(bench) if options.only.search(planned.title) is not None
        ]
        if options.list:
            print("\n".join(planned.title for planned in wanted))
            return 0
        if not wanted:
            parser.error(f"no row's title matches {options.only.pattern!r}: --list shows them")
        lacking = {planned.title for planned in wanted if not all(tool in bench.tools for tool in planned.tools)}
        wanted = [planned for planned in wanted if planned.title not in lacking]
        where = setting(options.runs, quick=options.quick)
        print(", ".join(where.machine.values()))
        for who, version in where.versions.items():
            print(f"{who} {version}" if version else f"left out, not installed: {who}")
        for title in sorted(lacking):
            print(f"left out for want of {' and '.join(TOOLS)} (--tools DIR): {title}")
        outcomes: list[Outcome] = []
        try:
            for planned in wanted:
                outcomes.append(run(planned.make(), options.runs))
                print(table(outcomes[-1]), flush=True)
        finally:
            # What is there when somebody has had enough is theirs.
            if options.json:
                options.json.write_text(json.dumps(as_json(where, outcomes), indent=1) + "\n")
            if options.html:
                from benchmarks.page import page

                options.html.write_text(page(where, outcomes))
    verdicts = [verdict for outcome in outcomes for verdict in outcome.verdicts()]
    missed = sum(not verdict.enough for verdict in verdicts)
    print(f"\n{len(verdicts) - missed} of {len(verdicts)} targets reached, {missed} missed")
    failed = any(outcome.has_failed for outcome in outcomes)
    return 1 if failed or (missed and not options.quick) else 0


def _parser(program: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "--tools",
        type=Path,
        metavar="DIR",
        default=_default_tools(),
        help=f"the folder of {' and '.join(f'{name}.c' for name in TOOLS)}; rows that need them are left out without "
        "(default: $AIODICOM_BENCH_TOOLS, or shared/tools beside the checkout)",
    )
    parser.add_argument("--only", type=_expression, default="", metavar="REGEX", help="only rows whose titles match")
    parser.add_argument("--list", action="store_true", help="show the titles of the rows, and run none")
    parser.add_argument("--quick", action="store_true", help="a fraction of the work: does it run, not how fast is it")
    parser.add_argument(
        "--runs", type=_count, default=3, metavar="N", help="rounds over all contenders of a row (default 3)"
    )
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write the result there")
    parser.add_argument("--html", type=_new_file, metavar="FILE", help="write a page with tables and plots there")
    parser.add_argument(
        "--folder",
        type=_folder,
        metavar="DIR",
        help="where files are written, up to 2 GB (default: the system's temporary folder)",
    )
    return parser


def _expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _new_file(text: str) -> Path:
    """A file that can be written: nobody waits half an hour to be told that it cannot."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} can't be written")
    return path


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return path


def _default_tools() -> Path | None:
    named = os.environ.get("AIODICOM_BENCH_TOOLS")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "tools"
    return folder if folder.is_dir() else None


def _allow_many_files() -> None:
    """Raises the limit of open files as far as it goes; the servers and load generators that are started inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
