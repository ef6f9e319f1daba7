"""Kills a router and its destinations under load, round after round, and says what has become of the objects.

    python -m tests.faults.rounds [--rounds 50] [--seed 1] [--workers 1] [--folder DIR] [--keep]

Each round has some associations send objects of 2.5 kB to 525 kB for a random time, kills the router, a destination,
or both at once with SIGKILL, starts them again, lets the senders go on for a moment, which send again what they got no
answer to, and waits until all that was acknowledged has arrived. One queue lasts through all rounds. The same seed
chooses the same moments and objects.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.ledger import ROUTER, Verdict, judge
from tests.faults.sending import Modality
from tests.faults.site import Site, destinations_of

__all__ = ["WINDOW", "play"]

#: Seconds between an arrival and a kill that explains why the object comes again: what it takes a router on a busy
#: machine to hear of the answer and to have it noted.
WINDOW = 3.0
#: Seconds in which what was acknowledged has to have arrived.
_PATIENCE = 60.0
#: Who is killed; a worker alone where there are several.
_WORKER = "a worker"
_VICTIMS: tuple[tuple[str, ...], ...] = ((ROUTER,), ("a",), ("b",), (ROUTER, "a"))


async def play(site: Site, rounds: int, seed: int, *, longest: float = 1.5, is_told: bool = False) -> Verdict:
    """Plays so many rounds at a site that runs; the load of each lasts up to `longest` seconds before its kill."""
    chosen = random.Random(seed)
    modality = Modality(site.port, seed, destinations_of)
    verdict = Verdict()
    # Each way of killing has its turn, in an order of chance.
    ways = (*_VICTIMS, (_WORKER,), (_WORKER,)) if site.workers > 1 else _VICTIMS
    victims = [each for _ in range(rounds // len(ways) + 1) for each in chosen.sample(ways, len(ways))]
    for number in range(rounds):
        began = time.monotonic()
        sending = asyncio.ensure_future(modality.send(chosen.randrange(2, 7)))
        await asyncio.sleep(chosen.uniform(0.1, longest))
        if victims[number] == (_WORKER,):
            site.kill_worker(chosen)
        else:
            await asyncio.to_thread(site.kill, *victims[number])
            await asyncio.gather(*(asyncio.to_thread(site.start, name) for name in victims[number]))
        await asyncio.sleep(chosen.uniform(0.0, 0.3))
        modality.stop()
        await sending
        await site.until_arrived(modality.sent, modality.acknowledged, _PATIENCE)
        arrivals = {name: site.arrivals(name) for name in site.ports}
        verdict = judge(modality.sent, modality.acknowledged, arrivals, site.kills, WINDOW)
        if is_told:
            took, killed = time.monotonic() - began, " and ".join(victims[number])
            print(
                f"round {number + 1:3} in {took:4.1f} s, {killed:12} killed: "
                f"{verdict.acknowledged} acknowledged, {verdict.arrived} arrivals, {verdict.again} again "
                f"(there up to {verdict.earliest * 1000:.0f} ms before), {len(verdict.faults)} faults",
                flush=True,
            )
        if verdict.faults:
            break
    if modality.refused:
        verdict.stray.append(f"the router has refused objects: {modality.refused}")
    return verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Exits with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.rounds", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="chooses the moments and the objects")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes of the router")
    parser.add_argument("--folder", metavar="DIR", help="where queue and logs go (the system's temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave them there if anything is wrong")
    options = parser.parse_args(arguments)
    folder = tempfile.TemporaryDirectory(dir=options.folder)
    with Site(Path(folder.name), workers=options.workers) as site:
        verdict = asyncio.run(play(site, options.rounds, options.seed, is_told=True))
    for fault in verdict.faults[:20]:
        print(fault)
    if len(verdict.faults) > 20:
        print(f"and {len(verdict.faults) - 20} more")
    if verdict.faults and options.keep:
        print(f"what is left of it: {folder.name}")
        folder._finalizer.detach()  # type: ignore[attr-defined]
    else:
        folder.cleanup()
    print(
        f"{verdict.acknowledged} objects acknowledged, {verdict.arrived} arrivals, {verdict.again} of them again, "
        f"{len(verdict.faults)} faults"
    )
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
