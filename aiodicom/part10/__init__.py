"""DICOM files: file meta information (PS3.10)."""
