"""The configurations and conditions of docs/router.md are right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aiodicom.deidentify import write_new_key
from aiodicom.router.conditions.compiler import compile_condition
from aiodicom.router.config.reading import from_values
from tests.certificates import Authority
from tests.router.objects import ORIGIN, ct
from tests.router.test_config import MINIMAL

PAGE = (Path(__file__).parent.parent.parent / "docs" / "router.md").read_text()
BLOCKS = [
    block for block in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "[project" not in block
]
CONDITIONS = re.findall(r"^\| `(.+?)` \|", PAGE[PAGE.index("| condition |") : PAGE.index("What holds:")], re.MULTILINE)


def test_the_first_one_is_the_least() -> None:
    assert BLOCKS[0].strip() == MINIMAL.strip()
    assert len(BLOCKS) == 9
    assert len(CONDITIONS) == 17


@pytest.mark.parametrize("block", BLOCKS)
def test_a_configuration(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Authority(tmp_path).issue("router", "localhost")
    (tmp_path / "rooms.csv").write_text("aet,room\nCT1,Room 1\n")
    (tmp_path / "token").write_text("secret\n")
    write_new_key(tmp_path / "research.key")
    values: dict[str, Any] = tomllib.loads(MINIMAL)
    values["destinations"]["research"] = {"type": "folder", "path": "{SOPInstanceUID}"}
    for key, value in tomllib.loads(block).items():
        values[key] = values["destinations"] | value if key == "destinations" else value
    from_values(values, tmp_path)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition(condition: str) -> None:
    assert compile_condition(condition)(ct(), ORIGIN) in (True, False)
