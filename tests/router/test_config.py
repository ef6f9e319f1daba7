# ruff: noqa: E501 (what is wrong and what is said of it stand in one line)
"""Configurations: what a file says, and every way to say it wrong."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.deidentify import write_new_key
from aiodicom.errors import ConfigurationError
from aiodicom.router.config.destinations import (
    DimseDestination,
    FolderDestination,
    ObjectsDestination,
    StowDestination,
)
from aiodicom.router.config.queueing import Commitment, Durability
from aiodicom.router.config.reading import LARGEST, from_values, load, parse
from aiodicom.router.config.root import Config
from tests.certificates import Authority

MINIMAL = """
[listen]
port = 11112
ae_title = "ROUTER"

[queue]
directory = "queue"

[destinations.pacs]
type = "dimse"
host = "127.0.0.1"
port = 11113
called_aet = "PACS"

[[routes]]
when = 'Modality == "CT"'       # left out: every object
to = ["pacs"]
"""


def read(text: str, folder: Path) -> Config:
    return parse(text, folder)


def problems(text: str, folder: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as raised:
        parse(text, folder)
    for problem in raised.value.problems:
        assert "\n" not in problem
    return raised.value.problems


def test_the_least(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text(MINIMAL)
    config = load(tmp_path / "router.toml")
    (listener,) = config.listeners
    assert (listener.host, listener.port, listener.ae_titles) == ("127.0.0.1", 11112, ("ROUTER",))
    assert config.queue.directory == str(tmp_path / "queue")
    assert config.queue.durability is Durability.SYNCED
    assert config.queue.commitment is Commitment.SYNCED
    pacs = config.destinations["pacs"]
    assert isinstance(pacs, DimseDestination)
    assert (pacs.host, pacs.port, pacs.called_aet, pacs.calling_aet) == ("127.0.0.1", 11113, "PACS", None)
    assert pacs.retry.permanent == (0x0122, 0xA900)
    assert config.calling_aet == "ROUTER"
    (route,) = config.routes
    assert (route.when, route.to, route.priority) == ('Modality == "CT"', ("pacs",), 0)


def test_everything(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("router", "localhost")
    write_new_key(tmp_path / "key")
    for name, content in (
        ("token", "secret\n"),
        ("rooms.csv", "aet,room\nCT1,Room 1\n"),
    ):
        (tmp_path / name).write_text(content)
    config = read(
        """
        unrouted = "drop"
        workers = 4

        [[listen]]
        host = "0.0.0.0"
        port = 2762
        ae_title = ["ROUTER", "ROUTER2"]
        tls = { cert = "router.pem", key = "router.key", ca = "ca.pem", verify = "optional", profile = "bcp195-nd" }
        max_associations = 500
        max_pdu = 65536
        window = 8
        artim = "10s"
        idle = "5m"
        proxies = ["10.0.0.0/8"]
        [[listen.senders]]
        ae_title = "CT*"
        address = "10.1.0.0/16"
        [[listen.senders]]
        ae_title = "PORTAL"
        certificate = true
        [[listen]]
        port = 11112

        [queue]
        directory = "/var/spool/router"
        durability = "written"
        segment_size = "64M"
        refuse_below = "10G"
        resume_above = "20 GiB"
        commitment = "delivered"
        duplicates = "keep"
        remember = "2h"
        expire = "7d"
        postgres = "postgresql://router:secret@db/router"
        objects = "s3://router/objects"
        lease = 30

        [destinations.pacs]
        type = "dimse"
        host = "pacs.example.org"
        port = 11112
        called_aet = "PACS"
        calling_aet = "GATE"
        tls = { ca = "ca.pem", cert = "router.pem", key = "router.key", check_hostname = false }
        associations = 8
        window = "auto"
        batch = 200
        transcode = "decompress-only"
        transfer_syntaxes = ["jpeg-ls", "1.2.840.10008.1.2.1"]
        commitment = { timeout = "10m", called_aet = "COMMIT" }
        rate = 50.5
        bandwidth = "10M"
        retry = { first = 1, factor = 3, most = "1h", jitter = 0, attempts = 10, permanent = ["A700", "a900h"] }
        breaker = { failures = 3, pause = "1m" }
        schedule = [{ from = "22:00", to = "06:00", days = ["mon", "fri"] }, { from = 12:00:00, to = "24:00" }]
        cut_through = true
        hold = true

        [destinations.cloud]
        type = "stow"
        url = "https://cloud.example.org/dicom-web"
        token_hook = "tests.router.test_config:token"
        headers = { X-Project = "7" }
        requests = 2
        batch = 50

        [destinations.other]
        type = "stow"
        url = "http://127.0.0.1/dicom-web"
        token_file = "token"

        [destinations.files]
        type = "folder"
        path = "out/{StudyInstanceUID}/{SOPInstanceUID}.dcm"

        [destinations.bucket]
        type = "objects"
        url = "s3://archive/incoming"
        options = { region = "eu-central-1" }

        [tables.rooms]
        file = "rooms.csv"
        [tables.names]
        values = { A = "B" }

        [deidentify.research]
        key_file = "key"
        retain = ["uids", "modified-dates"]
        clean = ["descriptors"]
        burned_in = "keep"

        [[routes]]
        name = "research"
        when = 'Modality == "CT"'
        unless = 'PatientAge < "018Y"'
        to = ["files", "bucket"]
        priority = -5
        final = true
        completion = { level = "series", quiet = "3m", mpps = true, counts = true, most = "1d" }
        [[routes.transformations]]
        type = "map"
        tag = "StationName"
        table = "rooms"
        [[routes.transformations]]
        type = "transcode"
        to = "htj2k-lossless"

        [[routes]]
        to = ["pacs", "cloud", "other"]

        [pass_through]
        queries = "pacs"
        worklist = "pacs"
        mpps = "pacs"

        [operations]
        host = "0.0.0.0"
        port = 8443
        token_file = "token"
        tls = { cert = "router.pem", key = "router.key" }

        [metrics]
        port = 9100

        [tracing]
        endpoint = "http://127.0.0.1:4318"
        ratio = 0.01

        [audit]
        host = "audit.example.org"
        tls = { ca = "ca.pem" }
        """,
        tmp_path,
    )
    first, second = config.listeners
    assert first.ae_titles == ("ROUTER", "ROUTER2")
    assert (first.artim, first.idle, second.ae_titles) == (10, 300, ())
    assert config.queue.refuse_below == 10 << 30
    assert config.queue.resume_above == 20 << 30
    assert (config.queue.remember, config.queue.expire, config.queue.lease) == (7200, 604800, 30)
    pacs, cloud, other, files, bucket = config.destinations.values()
    assert isinstance(pacs, DimseDestination)
    assert pacs.retry.permanent == (0xA700, 0xA900)
    assert pacs.transfer_syntaxes == ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1")
    assert isinstance(cloud, StowDestination)
    assert isinstance(other, StowDestination)
    assert isinstance(files, FolderDestination)
    assert files.path == f"{tmp_path}/out/{{StudyInstanceUID}}/{{SOPInstanceUID}}.dcm"
    assert isinstance(bucket, ObjectsDestination)
    assert config.routes[0].completion is not None
    assert config.routes[0].completion.most == 86400


def token() -> str:
    """A hook."""
    return "secret"


NO_FUNCTION = "none"


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("port = 11112", "port = 111120", "listen.port: a whole number from 0 to 65535 is wanted, not 111120"),
        ("port = 11112", 'port = "x"', "listen.port: a whole number from 0 to 65535 is wanted, not 'x'"),
        ("port = 11112", "port = true", "listen.port: a whole number from 0 to 65535 is wanted, not true"),
        ("port = 11112", "prt = 11112", "listen.prt: there is no such key (did you mean port?)"),
        ("port = 11112", 'port = 1\n"a b" = 2', 'listen."a b": there is no such key'),
        ("port = 11112", "", "listen.port: is missing"),
        ('"ROUTER"', '"ROUTER\\\\1"', "listen.ae_title: 'ROUTER\\\\1' is no AE title"),
        ('"ROUTER"', "5", "listen.ae_title: an AE title is wanted, not 5"),
        ('"ROUTER"', '["A", 5]', "listen.ae_title[1]: an AE title is wanted, not 5"),
        ('"ROUTER"', '"R"\nsenders = [{ address = "10.1.2.3/8" }]', "listen.senders[0].address: an address or a network"),
        ('"ROUTER"', '"R"\nsenders = [{ certificate = true }]', "listen: senders are asked for certificates"),
        ('"ROUTER"', '"R"\nsenders = "CT1"', "listen.senders: a list is wanted, not 'CT1'"),
        ('"ROUTER"', '"R"\nidle = "1 week"', "listen.idle: a time, such as 30 (seconds), \"5m\" or \"7d\", is wanted, not"),
        ('"ROUTER"', '"R"\ntls = { cert = "x.pem" }', "listen.tls.cert: there is no file"),
        ('"ROUTER"', '"R"\ntls = {}', "listen.tls.cert: is missing"),
        ("[listen]", "[[listen]]\nport = 11112\n[[listen]]", "listen[1].port: 11112 is that of listen[0] too"),
        ("[listen]", "listen = []\n[x]", "listen: there is no listener"),
        ("[queue]", "[que]", "que: there is no such key (did you mean queue?)"),
        ("[listen]", "listen = 5\n[x]", "listen: a table is wanted, not 5"),
        ('"queue"', '"queue"\ndurability = "sync"', "queue.durability: there is no 'sync' (did you mean synced?)"),
        ('"queue"', '"queue"\ndurability = 5', "queue.durability: there is no 5: one of received, written, synced"),
        ('"queue"', '"queue"\nsegment_size = "1X"', "queue.segment_size: a number of bytes, such as 1048576"),
        ('"queue"', '"queue"\nsegment_size = 5', "queue: segment_size is at least 1M"),
        ('"queue"', '"queue"\nrefuse_below = "2G"\nresume_above = "1G"', "queue: resume_above is at least refuse_below"),
        ('"queue"', '"q"\nobjects = "s3://x/y"', "queue: objects is of no use without postgres"),
        ('"queue"', '"q"\npostgres = "mysql://u:secret@x"', "queue.postgres: a URL that begins with postgresql:// or"),
        ('"dimse"', '"dims"', "destinations.pacs.type: there is no 'dims' (did you mean dimse?)"),
        ('type = "dimse"', "", "destinations.pacs.type: is missing: one of dimse, stow, folder, objects"),
        ('"PACS"', '"PACS"\nassociations = 0', "destinations.pacs.associations: a whole number from 1 to 65535 or 'auto'"),
        ('"PACS"', '"PACS"\nrate = 0', "destinations.pacs.rate: a number above 0 is wanted, not 0"),
        ('"PACS"', '"PACS"\nbandwidth = 0', "destinations.pacs: with a bandwidth of 0 nothing is ever sent"),
        ('"PACS"', '"PACS"\ntranscode = "lossles"', "destinations.pacs.transcode: there is no 'lossles' (did you mean loss"),
        ('"PACS"', '"PACS"\ntransfer_syntaxes = ["jpg"]', "destinations.pacs.transfer_syntaxes[0]: 'jpg' is no transfer"),
        ('"PACS"', '"PACS"\nretry = { permanent = [42752] }', "retry.permanent[0]: a status of four hexadecimal digits"),
        ('"PACS"', '"PACS"\nretry = { permanent = ["B000"] }', "destinations.pacs.retry.permanent[0]: B000 is no failure"),
        ('"PACS"', '"PACS"\nretry = { first = "1h" }', "destinations.pacs.retry: most is at least first"),
        ('"PACS"', '"PACS"\nretry = { first = 0 }', "destinations.pacs.retry: first is more than 0 seconds"),
        ('"PACS"', '"PACS"\nbreaker = { pause = 0 }', "destinations.pacs.breaker: pause is more than 0 seconds"),
        ('"PACS"', '"PACS"\ncommitment = { timeout = 0 }', "destinations.pacs.commitment: timeout is more than 0 seconds"),
        ('"127.0.0.1"', '"dicom://pacs"', 'destinations.pacs.host: a host, such as "pacs.example.org"'),
        ('"127.0.0.1"', '""', 'destinations.pacs.host: a host, such as "pacs.example.org"'),
        ('port = 11112', 'port = 11112\nhost = "every one"', 'listen.host: a host, such as "pacs.example.org"'),
        ('"PACS"', '"P"\nschedule = [{ from = "25:00", to = "6" }]', "schedule[0].from: a time of day, such as \"22:00\","),
        ('"PACS"', '"P"\nschedule = [{ from = "06:00", to = "06:00" }]', "schedule[0]: from and to are the same"),
        ('"PACS"', '"P"\nschedule = [{ from = "06:00", to = "07:00", days = ["monday"] }]', "days[0]: there is no 'monday'"),
        ('"PACS"', '"P"\ntls = { key = "key.pem" }', "destinations.pacs.tls.key: there is no file"),
        ('"PACS"', '"P"\ntls = { ca = "router.toml" }', "destinations.pacs.tls: "),
        ("[destinations.pacs]", '[destinations."pacs 1"]', 'destinations."pacs 1": a name has letters, digits and ._- in it'),
        ("[destinations.pacs]", "[[destinations.pacs]]", "destinations.pacs: a table is wanted, not a list"),
        ("to = [", 'to = ["pasc"] #', "routes[0].to[0]: there is no destination 'pasc' (did you mean pacs?)"),
        ("to = [", 'to = ["cloud"] #', "routes[0].to[0]: there is no destination 'cloud': pacs"),
        ("to = [", 'to = ["pacs", "pacs"] #', "routes[0].to[1]: 'pacs' stands here twice"),
        ("to = [", 'to = "pacs" #', "routes[0].to: a list is wanted, not 'pacs'"),
        ("to = [", "to = [] #", 'routes[0]: to names destinations, such as to = ["pacs"]'),
        ("Modality ==", "Modalit ==", "routes[0].when: column 1: Modalit is no keyword of PS3.6 (did you mean Modality?)"),
        ("Modality ==", "Rows ==", 'routes[0].when: column 9: Rows is a number, and "CT" is text'),
        ("Modality ==", 'f() or "CT" ==', "routes[0].when: column 1: there is no function f"),
        ("[[routes]]", "[[routes]]\npriority = 1000", "routes[0].priority: a whole number from -100 to 100 is wanted, not"),
        ("[[routes]]", "[[routes]]\nname = 'route 2'\nto=['pacs']\n[[routes]]", "routes[1].name: 'route 2' is the name of ro"),
        ("[[routes]]", "[[routes]]\ncompletion = { quiet = 0 }", "routes[0].completion: quiet is more than 0 seconds"),
        ("[[routes]]", "[[routes]]\ncompletion = { level = 'patient' }", "completion.level: there is no 'patient': one of se"),
        ("[[routes]]", "[routes]", "routes: a list is wanted, not a table"),
        ("[[routes]]", "routes = []\n[x]", "destinations.pacs.routes: there is no such key"),
    ],
)  # fmt: skip
def test_what_is_wrong(before: str, after: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text(MINIMAL)
    found = problems(MINIMAL.replace(before, after, 1), tmp_path)
    assert any(problem in line for line in found), found
    assert not any("secret" in line for line in found)


STEP = '[[routes.transformations]]\ntype = "{}"\n{}'


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (("sett", ""), "type: there is no 'sett' (did you mean set?)"),
        (("set", "values = {}"), ": values is empty"),
        (("set", "values = { PatientNme = 'x' }"), "values.PatientNme: column 1: PatientNme is no keyword of PS3.6 (did you"),
        (("set", "values = { Rows = 'x' }"), ": Rows is a number: write it without quotation marks"),
        (("set", "values = { Rows = 70000 }"), ": Rows: "),
        (("set", "values = { PatientID = 5 }"), ': PatientID is text: write "5"'),
        (("set", "values = { Modality = 'much too long for it' }"), ": Modality: a value of 20 characters, more than the 16"),
        (("set", "values = { StudyDate = 'today' }"), ": StudyDate: "),
        (("set", "values = { StudyDate = 2024-01-31 }"), ": StudyDate: a text, a number or a list of them is wanted"),
        (("set", "values = { PixelData = 'x' }"), "values.PixelData: column 1: PixelData is not in the header"),
        (("set", "values = { ContentSequence = 'x' }"), ": ContentSequence is a sequence, and cannot be set"),
        (("set", "values = { '(0009,1001)' = 'x' }"), ": (0009,1001) is in no dictionary"),
        (("remove", ""), ": nothing is removed"),
        (("remove", "tags = ['A[0].B']"), "tags[0]: column 1: A is no keyword"),
        (("remove", "tags = ['ContentSequence[0].CodeValue']\neverywhere = true"), ": ContentSequence[0].CodeValue leads"),
        (("hash", "tags = ['PatientID']\nkey_file = 'short'"), "short: too short for a key"),
        (("hash", "tags = ['StudyDate']\nkey_file = 'key'"), ": StudyDate (DA) has no values that a hash could stand in"),
        (("hash", "tags = ['AccessionNumber']\nkey_file = 'key'\nlength = 20"), ": AccessionNumber (SH) has 16 characters"),
        (("hash", "tags = []\nkey_file = 'key'"), ": nothing is hashed"),
        (("map", "tag = 'StationName'\ntable = 'room'"), ": there is no table 'room' (did you mean rooms?)"),
        (("map", "tag = 'Rows'\ntable = 'rooms'"), ": Rows is a number: tables have texts"),
        (("map", "tag = 'StationName'\ntable = 'rooms'\nsource = 'calling'"), ": column 1: calling is no keyword of PS3.6"),
        (("prefix", "text = 'N- '"), ": a prefix is ASCII, with no spaces around it"),
        (("prefix", "text = ''"), "text: a text of 1 to 16 characters is wanted, not ''"),
        (("prefix", "text = 'N'\ntag = 'StudyDate'"), ": StudyDate is a date (DA), which takes no prefix"),
        (("deidentify", "profile = 'research'"), ": there is no profile 'research': none at all"),
        (("transcode", "to = 'jpeg-2000'\nquality = -1"), "quality: a number from 0 to 1000 is wanted, not -1"),
        (("transcode", "to = 'rle'\n" + STEP.format("drop", "")), ": transcode is the last transformation of a route"),
        (("split", "by = []"), ": by names what objects are parted by"),
        (("split", "by = ['ContentSequence']"), ": ContentSequence is a sequence: name what is in it"),
        (("drop", "when = 'Rows = 5'"), "when: column 6: '=' has no meaning here (did you mean ==?)"),
        (("drop", "when = 'f()'"), "when: column 1: there is no function f"),
        (("plugin", "name = 'nothing'"), ": there is no plug-in 'nothing': none at all"),
    ],
)  # fmt: skip
def test_transformations_that_are_wrong(step: tuple[str, str], problem: str, tmp_path: Path) -> None:
    write_new_key(tmp_path / "key")
    (tmp_path / "short").write_text("0123456789\n")
    (tmp_path / "short").chmod(0o600)
    found = problems(f"{MINIMAL}{STEP.format(*step)}\n[tables.rooms]\nvalues = {{ A = 'B' }}\n", tmp_path)
    assert any(line.startswith("routes[0].transformations[0]") and problem in line for line in found), found


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("[tables.x]", "tables.x: a table has values or a file"),
        ("[tables.x]\nvalues = { A = 5 }", "tables.x.values.A: a text is wanted, not 5"),
        ("[tables.x]\nvalues = { A = 'B' }\nkey = 'C'", "tables.x: key and value name columns of a file"),
        ("[tables.x]\nfile = 'nothing.csv'", "tables.x.file: there is no file"),
        ("[tables.x]\nfile = 'table.csv'\nkey = 'c'", "table.csv has no column 'c': a, b"),
        ("[tables.x]\nfile = 'twice.csv'", "twice.csv, line 3: 'x' is there twice, with other values"),
        ("[tables.x]\nfile = 'short.csv'", "short.csv, line 2: there are 1 columns"),
        ("[tables.x]\nfile = 'one.csv'", "one.csv: the first line has the names of two columns or more"),
        ("[tables.x]\nfile = 'latin.csv'", "latin.csv is no CSV in UTF-8"),
        ("[deidentify.x]", "deidentify.x.key_file: is missing"),
        ("[deidentify.x]\nkey_file = 'one.csv'", "deidentify.x: "),
        ("[deidentify.x]\nkey_file = 'one.csv'\nretain = ['dates', 'modified-dates']", "deidentify.x: dates are retained"),
        ("[deidentify.x]\nkey_file = 'one.csv'\nretain = ['date']", "deidentify.x.retain[0]: there is no 'date' (did you me"),
        ("[pass_through]\nqueries = 'pax'", "pass_through.queries: there is no destination 'pax' (did you mean pacs?)"),
        ("[pass_through]\nmpps = 'files'", "pass_through.mpps: files is no destination of type dimse"),
        ("[operations]", "operations.token_file: is missing"),
        ("[operations]\ntoken_file = 'empty'", "operations.token_file: the first line of "),
        ("[tracing]\nendpoint = '127.0.0.1:4318'", "tracing.endpoint: a URL that begins with https:// or http://"),
        ("[audit]\nhost = 'x'\ntransport = 'udp'\ntls = {}", "audit: there is no TLS over UDP"),
        ("[destinations.files2]\ntype = 'folder'\npath = 'out/x.dcm'", "destinations.files2.path: no placeholder such as"),
        ("[destinations.s]\ntype = 'stow'\nurl = 'ftp://x'", "destinations.s.url: a URL that begins with https:// or"),
        ("[destinations.s]\ntype = 'stow'\nurl = 'http://x'\nheaders = { 'a b' = 'c' }", "destinations.s: 'a b' is no name"),
        ("[destinations.s]\ntype = 'stow'\nurl = 'http://x'\nheaders = { a = \"b\\nc\" }", "destinations.s: the header a has"),
        (
            "[destinations.s]\ntype = 'objects'\nurl = 's3://x'\noptions = { aws_nonsense = 'x' }",
            "destinations.s.options: s3://x is no object store that can be used: Configuration key: 'aws_nonsense' is not",
        ),
        ("[destinations.s]\ntype = 'stow'\nurl = 'http://x'\ntoken_file = 'empty'", "destinations.s.token_file: the first"),
        ("[destinations.s]\ntype = 'stow'\nurl = 'http://x'\ntoken_hook = 'tests.none:f'", "token_hook: tests.none:f cannot"),
        ("[destinations.s]\ntype = 'stow'\nurl = 'http://x'\ntoken_hook = 'f'", "token_hook: a function, such as hospital."),
        (
            "[destinations.s]\ntype = 'stow'\nurl = 'http://x'\ntoken_hook = 'tests.router.test_config:NO_FUNCTION'",
            "token_hook: tests.router.test_config:NO_FUNCTION is no function, but str",
        ),
    ],
)  # fmt: skip
def test_sections_that_are_wrong(section: str, problem: str, tmp_path: Path) -> None:
    for name, content in (
        ("table.csv", b"a,b\nx,y\n"),
        ("twice.csv", b"a,b\nx,y\nx,z\n"),
        ("short.csv", b"a,b\nx\n"),
        ("one.csv", b"a\nx\n"),
        ("latin.csv", b"a,b\nx,\xe9\n"),
        ("empty", b""),
    ):
        (tmp_path / name).write_bytes(content)
    files = "[destinations.files]\ntype = 'folder'\npath = '{SOPInstanceUID}'\n"
    found = problems(f"{MINIMAL}{files}{section}\n", tmp_path)
    assert any(problem in line for line in found), found


def test_what_is_wrong_in_a_route_does_not_hide_the_rest_of_it(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        'to = ["pacs"]',
        """to = ["pacs"]
        unless = 'Rows == "x"'
        priority = 1000
        transformations = [
            { type = "explode" },
            { type = "set", values = { PatientBirthDate = "yesterday" } },
            { type = "map", tag = "PatientSex", table = "none" },
            { type = "drop", when = "Modality == 3" },
        ]""",
    )
    assert list(problems(text, tmp_path)) == [
        "routes[0].priority: a whole number from -100 to 100 is wanted, not 1000",
        "routes[0].transformations[0].type: there is no 'explode': one of set, remove, hash, map, prefix, deidentify, "
        "transcode, split, drop, plugin",
        'routes[0].unless: column 9: Rows is a number, and "x" is text: write numbers without quotation marks',
        "routes[0].transformations[1]: PatientBirthDate: 'yesterday' is no DA (PS3.5 6.2)",
        "routes[0].transformations[2]: there is no table 'none': none at all",
        'routes[0].transformations[3].when: column 13: Modality is text, and 3 is a number: write "3" for text',
    ]


def test_one_mistake_does_not_hide_another(tmp_path: Path) -> None:
    text = """
        wrkers = 2
        [listen]
        port = -1
        hots = "x"
        [queue]
        [destinations.pacs]
        type = "dimse"
        host = "127.0.0.1"
        port = 11113
        called_aet = "PACS"
        [destinations.other]
        type = "dimse"
        associations = "many"
        [[routes]]
        when = 'Modalit == "CT"'
        to = ["pasc"]
        [[routes]]
        when = 'Rows == "CT"'
        to = ["othr", "pacs"]
        [[routes.transformations]]
        type = "set"
        values = { Rows = "x" }
        [[routes.transformations]]
        type = "map"
        tag = "StationName"
        table = "x"
    """
    assert [line.partition(": ")[0] for line in problems(text, tmp_path)] == [
        "wrkers",
        "listen.port",
        "listen.hots",
        "queue.directory",
        "destinations.other.associations",
        "destinations.other.host",
        "destinations.other.port",
        "destinations.other.called_aet",
        "routes[0].when",
        "routes[0].to[0]",
        "routes[1].to[0]",
        "routes[1].when",
        "routes[1].transformations[0]",
        "routes[1].transformations[1]",
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"[listen\n", "no TOML: "),
        (
            b'x = 1\nwhen = "Modality == "CT""\n',
            "no TOML: Expected newline or end of document after a statement (at line 2, ",
        ),
        (b"x = 1\n\xff", "line 2: no UTF-8"),
        (b"x = " + b"[" * 5000, "no TOML: "),
        (b" " * (LARGEST + 1), "the file has more than"),
        (b"", "listen: is missing"),
    ],
)
def test_files_that_are_none(data: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_bytes(data)
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path / "router.toml")
    assert raised.value.problems[0].startswith(problem)


WHOLE: dict[str, Any] = {
    **tomllib.loads(MINIMAL),
    "unrouted": "drop",
    "workers": 2,
    "tables": {"t": {"values": {"A": "B"}}},
    "pass_through": {"queries": "pacs"},
    "metrics": {"port": 1},
}
WHOLE["listen"]["senders"] = [{"ae_title": "CT*", "address": "10.0.0.0/8"}]
WHOLE["destinations"]["pacs"] |= {"retry": {"first": "5s", "permanent": ["A700"]}, "associations": "auto", "rate": 5}
WHOLE["destinations"]["files"] = {
    "type": "folder",
    "path": "{SOPInstanceUID}",
    "schedule": [{"from": "01:00", "to": "02:00"}],
}
WHOLE["routes"][0] |= {
    "completion": {"quiet": 5},
    "transformations": [
        {"type": "set", "values": {"PatientID": "1", "Rows": 5, "ImageType": ["A", "B"]}, "when": "Rows == 5"},
        {"type": "map", "tag": "PatientSex", "table": "t"},
        {"type": "split", "by": ["EchoNumbers"]},
        {"type": "transcode", "to": "rle"},
    ],
}

anything = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(
            ["pacs", "5m", "1G", "Rows == 5", "PatientID", "dimse", "set", "", "\0", "10.0.0.0/8", "08:00"]
        ),
        st.datetimes(),
        st.times(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container, with every key, in a value."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_stands_there_is_read_or_said_to_be_wrong(data: st.DataObject) -> None:
    values = deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(values)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            key = data.draw(st.one_of(st.just(key), st.text(max_size=6)))
        container[key] = data.draw(anything)
    found: tuple[str, ...] = ()
    try:
        from_values(values, Path("/nowhere"))
    except ConfigurationError as error:
        found = error.problems
    for problem in found:
        assert problem.partition(": ")[2]


def test_the_whole_is_right() -> None:
    assert from_values(WHOLE, Path("/nowhere")).workers == 2
