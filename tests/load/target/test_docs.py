"""What docs/load.md says of the bad PACS."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from aiodicom.load.target.distributions import Distribution
from aiodicom.load.target.faults import Fault
from aiodicom.load.target.scenario import OPERATIONS, ContextRule, convert_scenario

PAGE = (Path(__file__).parents[3] / "docs" / "load.md").read_text().partition("## A bad PACS")[2]


def test_the_scenario() -> None:
    block = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    scenario = convert_scenario(tomllib.loads(block[1]))
    assert scenario.title == "Monday morning"


def test_nothing_is_missing() -> None:
    assert not [name for name in (*Fault, *ContextRule, *OPERATIONS) if f"`{name}`" not in PAGE]


def test_the_distributions() -> None:
    for text in re.findall(r"^\| `(\w[^`|]*)` \|", PAGE.partition("a TIME is"[1:])[2], re.MULTILINE):
        if "=" in text or re.search(r"\dm?s\b", text):
            Distribution(text)
