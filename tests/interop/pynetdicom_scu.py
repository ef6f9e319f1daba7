"""An SCU made with pynetdicom, run as a process: pynetdicom_scu.py PORT echo | PORT store FILE...

Prints the statuses of the operations as one JSON list.
"""

from __future__ import annotations

import json
import sys

from pydicom import dcmread
from pynetdicom import AE, _config
from pynetdicom.sop_class import Verification


def main() -> None:
    port, operation, files = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    # Files go out as they are: with this off, pynetdicom decodes and encodes them anew.
    _config.STORE_SEND_CHUNKED_DATASET = True
    ae = AE(ae_title="PYNETDICOM")
    metas = [dcmread(file, stop_before_pixels=True, specific_tags=[]).file_meta for file in files]
    for abstract, transfer in sorted({(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}):
        ae.add_requested_context(abstract, transfer)
    if operation == "echo":
        ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port)
    if not association.is_established:
        sys.exit("no association")
    if operation == "echo":
        statuses = [association.send_c_echo().Status]
    else:
        statuses = [association.send_c_store(file).Status for file in files]
    association.release()
    json.dump(statuses, sys.stdout)


if __name__ == "__main__":
    main()
