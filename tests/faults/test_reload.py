"""A configuration that is wrong when a router that runs reads it again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiodicom
from aiodicom import VERIFICATION
from tests.faults.sending import Modality
from tests.faults.site import ROUTES, Site, destinations_of

WRONG = ROUTES.replace("Modality ==", "Modalit ==").replace('to = ["a"]', 'to = ["nowhere"]')


def test_the_old_one_stays_and_the_error_is_shown(tmp_path: Path) -> None:
    async def reload() -> None:
        modality = Modality(site.port, 9, destinations_of)
        async with aiodicom.connect("127.0.0.1", site.port, contexts=[VERIFICATION]) as association:
            site.configure(WRONG)
            site.hang_up()
            assert await site.until_said("there is no destination 'nowhere'")
            assert await site.until_said("Modalit is no keyword of PS3.6")
            await association.c_echo()
            await modality.send(2, 10)
            assert await site.until_arrived(modality.sent, modality.acknowledged, 30)
            # And when it is right again, it is gone by.
            site.configure('[[routes]]\nto = ["b"]\n')
            site.hang_up()
            assert await site.until_said("the configuration has changed: routes")
            await association.c_echo()
        later = Modality(site.port, 10, lambda _: frozenset("b"))
        later.skip(10)
        await later.send(2, 10)
        assert await site.until_arrived(later.sent, later.acknowledged, 30)
        assert (modality.refused, later.refused) == ({}, {})
        assert len(later.acknowledged) == 10
        assert not {arrival.uid for arrival in site.arrivals("a")} & later.sent.keys()

    with Site(tmp_path) as site:
        asyncio.run(reload())
