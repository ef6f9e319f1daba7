"""Loopback ports that nobody listens on."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range from which Linux takes the local ports of outgoing connections (32768 and up), so that none of those
# can take a port between its choice and its use.
_FIRST, _LAST = 15000, 32000


def ports_of_this_process() -> range:
    """Those that are for it alone among the processes that share a run of the tests (pytest-xdist numbers them)."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (_LAST - _FIRST) // max(number + 1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)))
    return range(_FIRST + number * size, _FIRST + (number + 1) * size)


_ports = ports_of_this_process()
# The start differs between runs at the same time.
_candidates = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A TCP port that is free on every IPv4 address and has not been given out by this process before."""
    for _ in _ports:
        port = _ports[next(_candidates) % len(_ports)]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free TCP port")
