"""Loopback ports that nobody listens on."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range from which Linux takes the local ports of outgoing connections (32768 and up), so that none of those
# can take a port between its choice and its use. The start differs between processes that test at the same time.
_FIRST, _LAST = 15000, 32000
_candidates = itertools.count((os.getpid() * 37) % (_LAST - _FIRST))


def free_port() -> int:
    """A TCP port that is free on every IPv4 address and has not been given out by this process before."""
    for _ in range(_LAST - _FIRST):
        port = _FIRST + next(_candidates) % (_LAST - _FIRST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free TCP port")
