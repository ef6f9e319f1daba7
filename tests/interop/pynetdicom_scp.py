"""A storage SCP made with pynetdicom, run as a process: pynetdicom_scp.py PORT FOLDER [--discard]."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import Verification


def main() -> None:
    port, folder, discard = int(sys.argv[1]), Path(sys.argv[2]), "--discard" in sys.argv[3:]
    _config.UNRESTRICTED_STORAGE_SERVICE = True

    def keep(event: evt.Event) -> int:
        if not discard:
            name = f"{event.request.AffectedSOPInstanceUID}.dcm"
            part = folder / f"{name}.part"
            part.write_bytes(event.encoded_dataset())
            part.rename(folder / name)
        return 0x0000

    ae = AE(ae_title="PYNETDICOM")
    ae.maximum_associations = 1000
    ae.add_supported_context(Verification, AllTransferSyntaxes)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    ended.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
