"""Transcoding beside DCMTK and pydicom: they read what we write, we write what they do, and take what they accept."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from pydicom.pixels import get_decoder
from pynetdicom import AE, evt

import aiodicom
from aiodicom.net.proposing import proposal
from aiodicom.pixels.recoding import LOSSY
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES, named_transfer_syntax
from tests.interop import objects, ours, peers

DATA = Path(pydicom.__file__).parent / "data" / "test_files"


#: Of several kinds: signed and unsigned words, bytes, colour, palette, several frames.
FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_rle_16bit.dcm",
    "examples_palette.dcm",
    "image_dfl.dcm",
)

#: DCMTK's decoder by transfer syntax.
DECODERS = {
    "rle-lossless": ("dcmdrle",),
    "jpeg-lossless": ("dcmdjpeg", "+cn"),
    "jpeg-lossless-p14": ("dcmdjpeg", "+cn"),
    "jpeg-baseline": ("dcmdjpeg", "+cn"),
    "jpeg-extended": ("dcmdjpeg", "+cn"),
    "jpeg-ls-lossless": ("dcmdjpls",),
    "jpeg-ls-lossy": ("dcmdjpls",),
}

#: DCMTK's encoders, as options.
ENCODERS = (
    ("dcmcrle",),
    ("dcmcjpeg", "+e1"),
    ("dcmcjpeg", "+el"),
    ("dcmcjpls", "+el"),
    ("dcmcjpls", "+en"),
    ("dcmcjpeg", "+eb"),
    ("dcmcjpeg", "+ee"),
    ("dcmcjpeg", "+es"),
    ("dcmcjpeg", "+ep"),
)

#: Without loss, of which pydicom knows.
PYDICOM_DECODES = (
    "explicit-le",
    "implicit-le",
    "explicit-be",
    "deflated-le",
    "rle",
    "jpeg-lossless",
    "jpeg-lossless-p14",
    "jpeg-ls-lossless",
    "jpeg-2000-lossless",
    "htj2k-lossless",
    "htj2k-rpcl-lossless",
)

# pydicom tells of odd files.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@cache
def values(name: str) -> Any:
    return aiodicom.dcmread(DATA / name).frames.to_numpy()


def decoded(path: Path, shape: tuple[int, ...]) -> Any:
    """The samples as pydicom decodes them, in this shape."""
    data_set = pydicom.dcmread(path)
    array, _ = get_decoder(data_set.file_meta.TransferSyntaxUID).as_array(data_set, raw=True)
    if (
        data_set.get("PlanarConfiguration") == 1
        and not get_decoder(data_set.file_meta.TransferSyntaxUID).is_encapsulated
    ):
        array = numpy.moveaxis(array.reshape(shape[0], shape[-1], *shape[1:-1]), 1, -1)
    return array.reshape(shape)


@pytest.mark.parametrize("to", DECODERS)
def test_dcmtk_decodes_what_we_encode(to: str, tmp_path: Path) -> None:
    done = 0
    for name in FILES:
        path, plain = tmp_path / f"{name}.in", tmp_path / f"{name}.out"
        try:
            aiodicom.transcode_file(DATA / name, path, to)
        except aiodicom.errors.LocalError:
            assert SHORT_NAMES[to] in LOSSY
            continue
        program, *options = DECODERS[to]
        peers.dcmtk_command(program, *options, path, plain)
        peers.dcmtk_command("dcmftest", path)
        ours = aiodicom.dcmread(path)
        if SHORT_NAMES[to] not in LOSSY:
            assert numpy.array_equal(decoded(plain, values(name).shape), values(name)), name
        elif ours.SamplesPerPixel == 1:
            difference = numpy.abs(decoded(plain, values(name).shape).astype("i8") - ours.frames.to_numpy())
            assert difference.max() <= (0 if to == "jpeg-ls-lossy" else 1), name
        done += 1
    assert done >= (2 if SHORT_NAMES[to] in LOSSY else len(FILES))


@pytest.mark.parametrize("encoder", ENCODERS, ids=" ".join)
def test_we_decode_what_dcmtk_encodes_as_dcmtk_does(encoder: tuple[str, ...], tmp_path: Path) -> None:
    done = 0
    for name in FILES:
        plain, encoded, back, theirs = (tmp_path / f"{name}.{suffix}" for suffix in ("plain", "in", "back", "theirs"))
        aiodicom.transcode_file(DATA / name, plain, "explicit-le")
        program, *options = encoder
        if peers.dcmtk_command(program, *options, plain, encoded, exit_code=None).returncode:
            continue  # 16 bits in JPEG of 12, and such
        uid = aiodicom.transcode_file(encoded, back, "explicit-le")
        decoder = {"dcmcrle": ("dcmdrle",), "dcmcjpeg": ("dcmdjpeg", "+cn"), "dcmcjpls": ("dcmdjpls",)}[program]
        peers.dcmtk_command(decoder[0], *decoder[1:], encoded, theirs)
        assert uid == pydicom.dcmread(encoded).SOPInstanceUID
        mine = aiodicom.dcmread(back).frames.to_numpy()  # a palette may have become RGB
        other = decoded(theirs, mine.shape)
        # Lossy JPEG may be decoded in several ways that differ by one; chrominance is interpolated differently.
        bound = 1 if encoder[-1] in ("+eb", "+ee", "+es", "+ep") else 0
        if not (bound and mine.ndim == 4):
            assert numpy.abs(mine.astype("i8") - other).max() <= bound, name
        done += 1
    assert done >= 2


@pytest.mark.parametrize("to", PYDICOM_DECODES)
def test_pydicom_reads_what_we_write(to: str, tmp_path: Path) -> None:
    uid = named_transfer_syntax(to).uid
    for name in FILES:
        aiodicom.transcode_file(DATA / name, tmp_path / "out", to)
        data_set = pydicom.dcmread(tmp_path / "out")
        assert data_set.file_meta.TransferSyntaxUID == uid
        assert numpy.array_equal(decoded(tmp_path / "out", values(name).shape), values(name)), name


# --- peers that accept one transfer syntax ----------------------------------------------------------------------------

#: Those that DCMTK's storescp can be told.
TAKEN = [name for name in SHORT_NAMES if not name.startswith(("htj2k", "jpeg-xl", "encapsulated", "deflated-frames"))]


def to_send(to: str) -> list[objects.Part10]:
    names = ("image_dfl.dcm", "SC_rgb_rle.dcm") if SHORT_NAMES[to] in LOSSY else FILES[:4]
    return [objects.part10(DATA / name) for name in names]


def check(received: Path, to: str, files: list[objects.Part10]) -> None:
    found = {each.sop_instance_uid: each for each in map(objects.part10, received.iterdir())}
    assert len(found) == len(files)
    assert {each.transfer_syntax for each in found.values()} == {SHORT_NAMES[to]}
    for file in files:
        before = values(file.path.name)
        if SHORT_NAMES[to] in LOSSY:
            images = [aiodicom.dcmread(each.path).SourceImageSequence[0] for each in found.values()]
            assert file.sop_instance_uid in {each.ReferencedSOPInstanceUID for each in images}
        else:
            after = aiodicom.dcmread(found[file.sop_instance_uid].path).frames.to_numpy()
            assert numpy.array_equal(after, before), file.path.name


async def send(port: int, to: str, files: list[objects.Part10]) -> None:
    """On one association: DCMTK's storescp serves one at a time."""
    policy = "lossy" if SHORT_NAMES[to] in LOSSY else "lossless"
    kinds = list({(file.sop_class_uid, file.transfer_syntax) for file in files})
    contexts = proposal(kinds, transcoding=aiodicom.Transcoding(policy))
    async with aiodicom.connect("127.0.0.1", port, contexts=contexts) as association:
        for file in files:
            await association.c_store(file.path, transcode=policy)


@pytest.mark.parametrize("to", TAKEN)
async def test_a_dcmtk_that_accepts_one_transfer_syntax(to: str, tmp_path: Path, start: Any) -> None:
    files = to_send(to)
    storage = {(file.sop_class_uid, SHORT_NAMES[to]) for file in files}
    server = start(peers.storescp_of(tmp_path / "received", storage, "+B"))
    await send(server.port, to, files)
    check(tmp_path / "received", to, files)


@pytest.mark.parametrize(("to", "policy"), [("jpeg-ls-lossless", "lossless"), ("jpeg-baseline", "lossy")])
def test_storescu(to: str, policy: str, tmp_path: Path, start: Any) -> None:
    files = to_send(to)
    storage = {(file.sop_class_uid, SHORT_NAMES[to]) for file in files}
    server = start(peers.storescp_of(tmp_path / "received", storage, "+B"))
    arguments = "127.0.0.1", str(server.port), "--transcode", policy
    done = ours.command("storescu", *arguments, *(file.path for file in files))
    assert done.stdout.startswith(f"{len(files)} objects sent, 0 failed")
    check(tmp_path / "received", to, files)


@pytest.mark.parametrize("to", [name for name in SHORT_NAMES if name not in TAKEN and name != "jpeg-xl-recompression"])
async def test_a_pynetdicom_that_accepts_one_transfer_syntax(to: str, tmp_path: Path) -> None:
    files = to_send(to)
    received = tmp_path / "received"
    received.mkdir()

    def keep(event: evt.Event) -> int:
        (received / str(event.request.AffectedSOPInstanceUID)).write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE()
    for sop_class in {file.sop_class_uid for file in files}:
        ae.add_supported_context(sop_class, SHORT_NAMES[to])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        await send(server.server_address[1], to, files)
    finally:
        server.shutdown()
    check(received, to, files)
