"""`aiodicom route --check`."""

from __future__ import annotations

import json
from pathlib import Path

from aiodicom.deidentify import write_new_key
from tests.cli.conftest import Invoke
from tests.router.test_config import MINIMAL


def test_what_a_configuration_does(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(MINIMAL)
    outcome = invoke("route", file, "--check")
    assert (outcome.code, outcome.err) == (0, "")
    assert (
        outcome.out
        == f"""The configuration is right.

Listens       127.0.0.1:11112 as ROUTER
              from this machine alone (host = "0.0.0.0" is for every network)
Queue         {tmp_path}/queue
Success       when the object is on the disk
Commitment    when the object is on the disk
Other objects are refused

Route 1
  when    Modality == "CT"
  to      pacs

Destinations
  pacs  PACS at 127.0.0.1:11113, as ROUTER
        transcoding lossless; associations auto
"""
    )
    assert json.loads(invoke("route", file, "--check", "--json").out) == {"file": str(file), "problems": []}


def test_everything_that_it_can_do(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    write_new_key(tmp_path / "key")
    (tmp_path / "router.toml").write_text(
        """
        unrouted = "drop"
        workers = 2
        [[listen]]
        host = "::"
        port = 104
        senders = [{ ae_title = "CT*", address = "10.1.0.0/16" }, { address = "10.2.0.1" }]
        [[listen]]
        host = "0.0.0.0"
        port = 11112
        [queue]
        directory = "/var/spool/router"
        durability = "received"
        commitment = "no"
        refuse_below = "10G"
        expire = "36h"
        postgres = "postgresql://u:secret@db/x"
        objects = "s3://router/objects"
        [destinations.pacs]
        type = "dimse"
        host = "::1"
        port = 104
        called_aet = "PACS"
        commitment = {}
        rate = 10
        bandwidth = 1500000
        schedule = [{ from = "22:00", to = "06:00", days = ["sat", "sun"] }]
        [destinations.cloud]
        type = "stow"
        url = "http://cloud.example.org"
        token_file = "token"
        hold = true
        [destinations.files]
        type = "folder"
        path = "/out/{SOPInstanceUID}.dcm"
        [destinations.bucket]
        type = "objects"
        url = "s3://bucket/"
        [tables.t]
        values = { A = "B" }
        [[routes]]
        name = "all of it"
        unless = '''Modality == "SR"
            or Modality == "PR"'''
        to = ["pacs", "cloud"]
        priority = 3
        final = true
        completion = { mpps = true, counts = true, quiet = 90 }
        transformations = [
            { type = "set", values = { InstitutionName = "X" }, when = "Rows > 5" },
            { type = "remove", tags = ["PatientName"], private = true },
            { type = "hash", tags = ["PatientID"], key_file = "key" },
            { type = "map", tag = "StationName", table = "t", source = "peer" },
            { type = "prefix", text = "N-" },
            { type = "split", by = ["EchoNumbers"] },
            { type = "drop", when = "Rows > 6000" },
            { type = "transcode", to = "rle" },
        ]
        [[routes]]
        to = []
        final = true
        transformations = [{ type = "drop" }]
        [[routes]]
        to = ["files"]
        [pass_through]
        queries = "pacs"
        mpps = "pacs"
        [operations]
        token_file = "token"
        [metrics]
        [tracing]
        endpoint = "http://127.0.0.1:4318"
        [audit]
        host = "audit.example.org"
        """
    )
    outcome = invoke("route", tmp_path / "router.toml", "--check")
    assert (outcome.code, outcome.err) == (0, "")
    assert "secret" not in outcome.out
    for line in """
        Listens       [::]:104 as any AE title
        from CT* at 10.1.0.0/16; any AE title at 10.2.0.1
        from everybody
        Queue         /var/spool/router, 2 workers
        Success       when the object has arrived
        Commitment    not offered
        Shared        by PostgreSQL, with objects in s3://router/objects
        Disk full     below 10 GiB free: objects are refused (A700H)
        Given up      what is not delivered after 36 h
        Other objects are dropped, with Success
        Route 1: all of it
        when    always
        unless  Modality == "SR" or Modality == "PR"
        then    set InstitutionName to 'X'  (when Rows > 5)
        then    remove PatientName, private attributes
        then    hash PatientID
        then    map StationName by table t, by peer
        then    prefix AccessionNumber with 'N-'
        then    split series by EchoNumbers
        then    drop  (when Rows > 6000)
        then    transcode to RLE Lossless
        waits   until the study is complete: 90 s without a further object, or MPPS says so, or all are there that the header counts; 6 h at the most
        to      pacs, cloud, priority 3
        and no route behind it
        to      nowhere
        pacs    PACS at [::1]:104, as AIODICOM
        an object leaves the queue when the destination has committed to it
        at the most 10 objects a second and 1,500,000 bytes a second
        sent from 22:00 to 06:00 on sat, sun
        cloud   STOW-RS at http://cloud.example.org
        held until somebody releases it
        files   files /out/{SOPInstanceUID}.dcm
        bucket  objects s3://bucket/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm
        Passed on     queries to pacs, MPPS to pacs
        Page          http://127.0.0.1:8042/, with the token
        Metrics       http://127.0.0.1:9042/metrics
        Traces        to http://127.0.0.1:4318
        Audit         to audit.example.org:6514 by TLS
        Hint: everybody on the way can read the token of cloud: its url begins with http:, not https:
        Hint: no route leads to bucket
        Hint: 1 route behind route 2 cannot be reached: it is final
    """.strip().splitlines():  # fmt: skip  # noqa: E501
        assert line.strip() in [each.strip() for each in outcome.out.splitlines()]


def test_a_configuration_that_is_wrong(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(MINIMAL.replace("Modality", "Modalit").replace("11112", "-1"))
    outcome = invoke("route", file, "--check")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.errors == [
        f"aiodicom route: {file}: listen.port: a whole number from 0 to 65535 is wanted, not -1",
        f"aiodicom route: {file}: routes[0].when: column 1: Modalit is no keyword of PS3.6 (did you mean Modality?)",
        f"aiodicom route: {file}: 2 problems",
    ]
    outcome = invoke("route", file, "--check", "--json")
    assert (outcome.code, outcome.err) == (1, "")
    assert len(json.loads(outcome.out)["problems"]) == 2
    outcome = invoke("route", tmp_path / "none.toml", "--check")
    assert (outcome.code, outcome.err) == (1, f"aiodicom route: {tmp_path}/none.toml: No such file or directory\n")
