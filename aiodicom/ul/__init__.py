"""The DICOM Upper Layer protocol (PS3.8) without IO: PDUs, the state machine, and association negotiation."""
