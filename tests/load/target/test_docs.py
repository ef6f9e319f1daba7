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
    table = PAGE.partition("A TIME is one of these")[2].partition("| fault |")[0]
    texts = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(texts) == 6
    assert all(Distribution(text).quantile(0.5) > 0 for text in texts)
