"""Destinations that misbehave, each in its own way, beside one that does not: it is as if they were not there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.faults.sending import SOP_CLASSES, Modality
from tests.faults.site import Site
from tests.interop.processes import run_command

MISBEHAVIOUR = {
    "stalls": ["--stall"],
    "full": ["--status", "A700"],
    "warns": ["--status", "B007"],
    "choosy": ["--only", SOP_CLASSES["CT"]],
    "resets": ["--reset", "20000"],
    "slow": ["--bandwidth", "10000"],
}
#: What the route sends to at first, and then.
ALONE = '[[routes]]\nto = ["good"]\n'
TOGETHER = f"[[routes]]\nto = {json.dumps(['good', *MISBEHAVIOUR])}\n"
COUNT = 40
PATIENCE = 60.0


def ask(site: Site, *arguments: str) -> str:
    """What a subcommand of `aiodicom route` prints."""
    command = [sys.executable, "-m", "aiodicom", "route", arguments[0], os.fspath(site.file), *arguments[1:]]
    return run_command(command, environment=site.environment).stdout


def status(site: Site) -> dict[str, dict[str, Any]]:
    """What there is for each destination."""
    (process,) = json.loads(ask(site, "status", "--json"))["processes"]
    return {each["name"]: each for each in process["destinations"]}


async def through(site: Site, modality: Modality) -> float:
    """Seconds from the first object sent to the last one at the good destination."""
    began = time.monotonic()
    await modality.send(4, COUNT)
    assert await site.until_arrived(modality.sent, modality.acknowledged, PATIENCE, "good")
    return site.arrivals("good")[-1].at - began


def test_the_others_are_not_affected(tmp_path: Path) -> None:
    async def misbehave() -> None:
        modality = Modality(site.port, 5, lambda _: frozenset(("good", *MISBEHAVIOUR)))
        await through(site, modality)
        alone = await through(site, modality)
        before = len(modality.sent)
        site.configure(TOGETHER)
        site.hang_up()
        assert await site.until_said("changed: ")
        beside = await through(site, modality)
        assert modality.refused == {}
        assert len(modality.acknowledged) == 3 * COUNT
        # A destination that held it up would do so for as long as it has patience: a minute. The rest is noise.
        assert beside < 5 * alone + 5
        # They get what they take, as soon as they take it.
        later = list(modality.sent)[before:]
        ct = [uid for uid in later if modality.sent[uid].sop_class_uid == SOP_CLASSES["CT"]]
        assert await site.until_arrived(modality.sent, later, PATIENCE, "warns")
        assert await site.until_arrived(modality.sent, ct, PATIENCE, "choosy")
        for name in ("stalls", "full", "resets", "slow"):
            site.kill(name)
            site.options[name] = []
            site.start(name)
        # Those with which associations have ended again and again while others got through were given up.
        assert ask(site, "retry", "--destination", "resets", "--state", "dead").startswith("retry: ")
        arrived = await site.until_arrived(modality.sent, later, PATIENCE, "stalls", "full", "resets", "slow")
        assert arrived, status(site)
        choosy = status(site)["choosy"]
        assert (choosy["state"], choosy["delivered"]) == ("open", len(ct))
        # What is being tried once more just now is among those that wait.
        assert choosy["waiting"] + choosy["delayed"] + choosy["dead"] == len(later) - len(ct)

    with Site(tmp_path, destinations=("good", *MISBEHAVIOUR), routes=ALONE, options=MISBEHAVIOUR) as site:
        asyncio.run(misbehave())
