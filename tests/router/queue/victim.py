"""A process that queues, delivers and deletes, and says what it has done, until somebody kills it.

    python -m tests.router.queue.victim FOLDER SEED

A line is written for each object after it was queued (`+ number`), and before it is settled (`- number`).
"""

from __future__ import annotations

import os
import random
import sys

from aiodicom.router.queue.shard import Shard
from tests.router.queue.objects import arrival, incoming, reclaim, sparse


def content(number: int) -> bytes:
    """What the object of this number holds."""
    return random.Random(number).randbytes(random.Random(~number).choice([10, 900, 9_000, 70_000]))


def main() -> None:
    folder, seed = sys.argv[1:]
    chosen = random.Random(int(seed))
    shard = Shard(folder, segment_size=300_000)
    number = int(seed) * 1_000_000
    while True:
        count = chosen.randrange(1, 20)
        group = shard.write(
            [arrival(incoming(each, "pacs", study=each // 50), content(each)) for each in range(number, number + count)]
        )
        shard.commit(group, 0.0)
        os.write(1, b"".join(b"+ %d\n" % each for each in range(number, number + count)))
        number += count
        leases = shard.claim("pacs", chosen.randrange(20))
        os.write(1, b"".join(b"- %s\n" % lease.sop_instance_uid.rpartition(".")[2].encode() for lease in leases))
        shard.note([], leases, [], 0.0)
        reclaim(shard)
        found = sparse(shard)
        if found is not None:
            shard.commit_copy(shard.copy(*found, 100_000), 0.0)


if __name__ == "__main__":
    main()
