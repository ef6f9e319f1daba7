"""Presentation contexts to receive objects in, as the SCU of a C-GET has to propose them before it knows what comes.

An association has at most 128 contexts, of each the acceptor chooses one transfer syntax, and a peer that does not
transcode can send an object only in a context that has the one in which it keeps it. So there is one context for
uncompressed objects of each SOP class, and for compressed ones as many as there is room for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiodicom.errors import LocalError
from aiodicom.standard.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    storage_sop_classes,
    uid_of_keyword,
)
from aiodicom.ul.pdu import MOST_CONTEXTS

__all__ = ["receiving_contexts"]

_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

#: Compressed ones, those that archives have most of first, and the others that objects are kept in.
_COMPRESSED: Final = (
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, SV1
    "1.2.840.10008.1.2.4.90",  # JPEG 2000, lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.80",  # JPEG-LS, lossless
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.81",  # JPEG-LS
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.102",  # MPEG-4 AVC/H.264 High Profile, Level 4.1
    "1.2.840.10008.1.2.4.103",  # its BD-compatible form
    "1.2.840.10008.1.2.4.100",  # MPEG-2 Main Profile, Main Level
    "1.2.840.10008.1.2.4.101",  # MPEG-2 Main Profile, High Level
    "1.2.840.10008.1.2.4.201",  # HTJ2K, lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K, lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.104",  # MPEG-4 AVC/H.264 High Profile, Level 4.2, 2D
    "1.2.840.10008.1.2.4.105",  # MPEG-4 AVC/H.264 High Profile, Level 4.2, 3D
    "1.2.840.10008.1.2.4.106",  # MPEG-4 AVC/H.264 Stereo High Profile
    "1.2.840.10008.1.2.4.107",  # HEVC/H.265 Main Profile
    "1.2.840.10008.1.2.4.108",  # HEVC/H.265 Main 10 Profile
    "1.2.840.10008.1.2.4.110",  # JPEG XL, lossless
    "1.2.840.10008.1.2.4.111",  # JPEG XL, recompressed JPEG
    "1.2.840.10008.1.2.4.112",  # JPEG XL
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.2",  # explicit VR big endian
)

#: The storage SOP classes that archives have most of, roughly in this order; all others stand behind them.
_COMMON: Final = """
    CTImageStorage MRImageStorage UltrasoundImageStorage UltrasoundMultiFrameImageStorage
    ComputedRadiographyImageStorage DigitalXRayImageStorageForPresentation
    DigitalMammographyXRayImageStorageForPresentation SecondaryCaptureImageStorage
    PositronEmissionTomographyImageStorage XRayAngiographicImageStorage XRayRadiofluoroscopicImageStorage
    NuclearMedicineImageStorage EnhancedCTImageStorage EnhancedMRImageStorage BreastTomosynthesisImageStorage
    GrayscaleSoftcopyPresentationStateStorage KeyObjectSelectionDocumentStorage BasicTextSRStorage EnhancedSRStorage
    ComprehensiveSRStorage XRayRadiationDoseSRStorage EncapsulatedPDFStorage RTStructureSetStorage RTPlanStorage
    RTDoseStorage RTImageStorage SegmentationStorage MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    MultiFrameTrueColorSecondaryCaptureImageStorage MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    MultiFrameSingleBitSecondaryCaptureImageStorage DigitalXRayImageStorageForProcessing
    DigitalMammographyXRayImageStorageForProcessing DigitalIntraOralXRayImageStorageForPresentation
    DigitalIntraOralXRayImageStorageForProcessing EnhancedXAImageStorage EnhancedXRFImageStorage
    EnhancedPETImageStorage LegacyConvertedEnhancedCTImageStorage LegacyConvertedEnhancedMRImageStorage
    LegacyConvertedEnhancedPETImageStorage XRay3DAngiographicImageStorage EnhancedUSVolumeStorage
    MRSpectroscopyStorage VLEndoscopicImageStorage VLPhotographicImageStorage VLWholeSlideMicroscopyImageStorage
    VLMicroscopicImageStorage VideoEndoscopicImageStorage VideoPhotographicImageStorage
    OphthalmicPhotography8BitImageStorage OphthalmicPhotography16BitImageStorage OphthalmicTomographyImageStorage
    TwelveLeadECGWaveformStorage GeneralECGWaveformStorage HemodynamicWaveformStorage SpatialRegistrationStorage
    DeformableSpatialRegistrationStorage ParametricMapStorage RawDataStorage Comprehensive3DSRStorage
    MammographyCADSRStorage RTIonPlanStorage
"""


def receiving_contexts(
    sop_classes: Iterable[str] = (), *, room: int = MOST_CONTEXTS - 8
) -> list[tuple[str, tuple[str, ...]]]:
    """What to propose as `receives` of `connect()` or a `Pool`: SOP classes with transfer syntaxes, at most `room`
    contexts. By default there is room for eight others, such as those of the query and of the C-GET themselves.

    `sop_classes`: UIDs of what will come, in order of importance. The fewer they are, the more contexts there are of
    each: the uncompressed transfer syntaxes have one, the compressed ones one each as far as there is room, and one
    together. Without any, the storage SOP classes that archives have most of are proposed, with two contexts each.

    Raises `LocalError` for more SOP classes than there is room for.
    """
    wanted = list(dict.fromkeys(sop_classes))
    if not wanted:
        known = [uid for keyword in _COMMON.split() if (uid := uid_of_keyword(keyword)) is not None]
        wanted = list(dict.fromkeys((*known, *sorted(storage_sop_classes()))))[: room // 2]
    if len(wanted) > room:
        raise LocalError(f"{len(wanted)} SOP classes: there is room for {room} presentation contexts")
    each, more = divmod(room, len(wanted))
    return [(uid, syntaxes) for number, uid in enumerate(wanted) for syntaxes in _groups(each + (number < more))]


def _groups(count: int) -> list[tuple[str, ...]]:
    """The transfer syntaxes in so many groups at most, of each of which the acceptor chooses one."""
    if count == 1:
        return [(*_UNCOMPRESSED, *_COMPRESSED)]
    alone = min(count - 2, len(_COMPRESSED) - 1)
    return [_UNCOMPRESSED, *((syntax,) for syntax in _COMPRESSED[:alone]), _COMPRESSED[alone:]]
