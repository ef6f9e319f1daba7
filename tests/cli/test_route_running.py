"""`aiodicom route` as operators meet it: a router that runs, and the commands that ask it and tell it."""

from __future__ import annotations

import asyncio
import io
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, Start
from tests.router.running import HEAD, destination, image, store, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'
#: It is tried again after an hour, unless somebody wants it to be.
AWAY = 'breaker = { pause = "1h", failures = 1 }'


def test_a_day_of_an_operator(
    invoke: Invoke, start: Start, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = destination("pacs", port).replace('breaker = { pause = "1ms" }', AWAY)
    file = write(tmp_path, line + ROUTE)
    router = start("route", file)
    address = router.wait_for_line("listening on ").rpartition(":")[2]
    assert asyncio.run(store(int(address), [image(1), image(2)])) == [0, 0]
    router.wait_for_words("pacs is left alone, and tried from time to time: no connection to")

    assert "\n  0 associations; 2 received (17.7 kB), 0 refused; " in invoke("route", "status", file).out
    assert len(invoke("route", "queue", file).out.splitlines()) == 4
    # A slip of the pen holds nothing that does not exist.
    for what in ("hold", "retry", "queue"):
        outcome = invoke("route", what, file, "--destination", "pasc")
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err == f"aiodicom route {what}: there is no destination 'pasc' (did you mean pacs?)\n"
    outcome = invoke("route", "drop", file)
    assert outcome.code == 2
    assert "say which deliveries" in outcome.err

    assert invoke("route", "hold", file, "--destination", "pacs").out == "pacs is held: what comes for it waits\n"
    assert "pacs  held (until somebody releases it); " in invoke("route", "status", file).out
    outcome = invoke("route", "release", file, "--destination", "pacs")
    assert outcome.out == "pacs is released: what waits for it goes\n"
    # What fails as before is no news.
    assert invoke("route", "retry", file, "--destination", "pacs").out.startswith("retry: ")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    outcome = invoke("route", "drop", file, "--all")
    assert (outcome.code, outcome.out.strip()) == (1, "")
    assert "aiodicom route drop: nothing was dropped (--yes does it without being asked)\n" in outcome.err
    assert invoke("route", "drop", file, "--all", "--yes").out == "drop: 2 deliveries\n"
    assert invoke("route", "queue", file).out == "nothing waits\n"

    router.send_signal(signal.SIGHUP)
    router.wait_for_line("aiodicom route: the configuration is as it was")
    write(tmp_path, line + ROUTE.replace("pacs", "pasc"))
    router.send_signal(signal.SIGHUP)
    wrong = "the configuration stays as it was: routes[0].to[0]: there is no destination 'pasc' (did you mean pacs?)"
    router.wait_for_line(f"aiodicom route: {wrong}")
    assert "the new configuration is not used: routes[0].to[0]: " in invoke("route", "status", file).out
    write(tmp_path, line + ROUTE.replace("to =", 'when = "Rows > 5"\nto ='), HEAD)
    router.send_signal(signal.SIGHUP)
    router.wait_for_line("aiodicom route: the configuration has changed: routes[0].when")

    outcome = router.terminate()
    assert outcome.code == 0
    assert outcome.err.count("'pasc'") == 1
    assert "is sent to again" not in outcome.err
    assert outcome.err.splitlines()[-1].startswith("aiodicom route: stopping")
    outcome = invoke("route", "status", file)
    assert outcome.code == 1
    assert outcome.err.endswith("(start it: aiodicom route FILE)\n")


def test_an_address_that_is_not_of_this_machine(invoke: Invoke, tmp_path: Path, port: int) -> None:
    head = HEAD.replace("port = 0", 'port = 0\nhost = "192.0.2.1"')
    outcome = invoke("route", write(tmp_path, destination("pacs", port) + ROUTE, head))
    assert outcome.code == 1
    assert outcome.err == (
        "aiodicom route: cannot listen on 192.0.2.1 port 0: Cannot assign requested address"
        " (name an address of this machine)\n"
    )
