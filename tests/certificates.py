"""Certificates in files, as a site has them: an authority, and what it has issued."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import trustme


class Files(NamedTuple):
    """A certificate with its chain, and its private key."""

    cert: Path
    key: Path

    def replace_by(self, other: Files) -> None:
        """Puts another certificate in its place, as who renews certificates does."""
        for mine, theirs in zip(self, other, strict=True):
            new = mine.with_suffix(".new")
            new.write_bytes(theirs.read_bytes())
            os.replace(new, mine)


class Authority:
    """Issues certificates, which go to a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.path = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.path)

    def issue(self, name: str, *identities: str, rsa: bool = False, common_name: str | None = None) -> Files:
        """Returns a certificate for these host names and addresses."""
        kind = trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA
        issued = self._authority.issue_cert(*identities, key_type=kind, common_name=common_name)
        files = Files(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        files.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(files.key)
        return files
