"""Facts of the DICOM standard: UIDs, status codes and what else is only looked up. No behaviour, no imports of ours."""
