"""Enhanced CT: a volume in one multi-frame object (PS3.3 A.38)."""

from __future__ import annotations

from aiodicom.dataset import Dataset

from . import pixels
from .profile import DATE, TIME, Place, Profile, Size, code, describe_acquisition, describe_pixels

__all__ = ["ENHANCED_CT"]

_DIMENSIONS = "2.25.4"
_APART = 1.25


def _describe(data_set: Dataset, size: Size) -> None:
    describe_acquisition(data_set, "ORIGINAL", "PRIMARY", "VOLUME", "NONE")
    del data_set.AcquisitionDate, data_set.AcquisitionTime
    data_set.AcquisitionDateTime = f"{DATE}{TIME}"
    data_set.AcquisitionDuration = 2.0
    describe_pixels(data_set, size, 12)
    data_set.PresentationLUTShape = "IDENTITY"
    data_set.NumberOfFrames = str(size.frames)
    data_set.FrameOfReferenceUID = "2.25.3"
    data_set.PositionReferenceIndicator = ""
    data_set.PatientPosition = "HFS"
    data_set.BodyPartExamined = "CHEST"
    data_set.ContentQualification = "PRODUCT"
    data_set.PixelPresentation = "MONOCHROME"
    data_set.VolumetricProperties = "VOLUME"
    data_set.VolumeBasedCalculationTechnique = "NONE"
    data_set.MultienergyCTAcquisition = "NO"
    data_set.AcquisitionContextSequence = []
    data_set.DimensionOrganizationSequence = [Dataset(DimensionOrganizationUID=_DIMENSIONS)]
    data_set.DimensionIndexSequence = [_dimension(0x00209056), _dimension(0x00209057)]
    data_set.SharedFunctionalGroupsSequence = [_shared(size)]
    data_set.PerFrameFunctionalGroupsSequence = [_of_frame(number) for number in range(size.frames)]


def _dimension(index: int) -> Dataset:
    return Dataset(DimensionOrganizationUID=_DIMENSIONS, DimensionIndexPointer=index, FunctionalGroupPointer=0x00209111)


def _shared(size: Size) -> Dataset:
    spacing = f"{400 / size.columns:.6g}"
    return Dataset(
        FrameAnatomySequence=[
            Dataset(FrameLaterality="U", AnatomicRegionSequence=code("51185008", "SCT", "Chest")),
        ],
        PixelMeasuresSequence=[Dataset(PixelSpacing=[spacing, spacing], SliceThickness="1.25")],
        PlaneOrientationSequence=[Dataset(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        FrameVOILUTSequence=[Dataset(WindowCenter="40", WindowWidth="400")],
        PixelValueTransformationSequence=[Dataset(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")],
        CTImageFrameTypeSequence=[
            Dataset(
                FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
            )
        ],
        CTAcquisitionTypeSequence=[Dataset(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO")],
        CTAcquisitionDetailsSequence=[
            Dataset(
                RotationDirection="CW",
                RevolutionTime=0.5,
                SingleCollimationWidth=0.625,
                TotalCollimationWidth=40.0,
                TableHeight="150",
                GantryDetectorTilt="0",
                DataCollectionDiameter="500",
            )
        ],
        CTTableDynamicsSequence=[
            Dataset(TableSpeed=55.0, TableFeedPerRotation=27.5, SpiralPitchFactor=0.6875),
        ],
        CTGeometrySequence=[
            Dataset(DistanceSourceToDetector="950", DistanceSourceToDataCollectionCenter=540.0),
        ],
        CTReconstructionSequence=[
            Dataset(
                ReconstructionAlgorithm="FILTER_BACK_PROJ",
                ConvolutionKernel="STANDARD",
                ConvolutionKernelGroup="GENERAL",
                ReconstructionDiameter="400",
                ReconstructionPixelSpacing=[400 / size.columns] * 2,
                ReconstructionAngle=360.0,
                ImageFilter="NONE",
            )
        ],
        CTExposureSequence=[
            Dataset(
                ExposureTimeInms=500.0,
                XRayTubeCurrentInmA=250.0,
                ExposureInmAs=125.0,
                ExposureModulationType="NONE",
                CTDIvol=8.0,
                CTDIPhantomTypeCodeSequence=code("113691", "DCM", "IEC Body Dosimetry Phantom"),
            )
        ],
        CTXRayDetailsSequence=[
            Dataset(
                KVP="120",
                FocalSpots=["1.2"],
                FilterType="FLAT",
                FilterMaterial=["ALUMINUM"],
                CalciumScoringMassFactorPatient=1.0,
            )
        ],
        CTPositionSequence=[
            Dataset(
                TablePosition=0.0,
                DataCollectionCenterPatient=[0.0, 0.0, 0.0],
                ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0],
            )
        ],
        IrradiationEventIdentificationSequence=[Dataset(IrradiationEventUID="2.25.5")],
    )


def _of_frame(number: int) -> Dataset:
    return Dataset(
        FrameContentSequence=[
            Dataset(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=f"{DATE}{TIME}",
                FrameAcquisitionDateTime=f"{DATE}{TIME}",
                FrameAcquisitionDuration=500.0,
                StackID="1",
                InStackPositionNumber=number + 1,
                DimensionIndexValues=[1, number + 1],
            )
        ],
        PlanePositionSequence=[Dataset(ImagePositionPatient=["-200", "-200", f"{number * _APART:g}"])],
    )


def _place(_data_set: Dataset, _place: Place) -> None:
    """The frames say where they are."""


ENHANCED_CT = Profile(
    name="enhanced-CT",
    title="enhanced CT",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2.1",
    modality="CT",
    describe=_describe,
    place=_place,
    size=Size(512, 512, 50),
    is_multi_frame=True,
    frame=lambda random, rows, columns, _: pixels.ct_slice(random, rows, columns),
)
