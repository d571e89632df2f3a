"""Whom to trust: the contexts and pins with which TLS certificates are verified, the same on every Python."""

import asyncio
import ssl
from collections.abc import Collection
from typing import Final

import aiohttp

# Set here, because the default is another one in Python 3.13. A certificate that was given as trusted is an end of the
# chain, also an intermediate one. RFC 5280 is not enforced to the letter: CAs of companies lack extensions that it
# wants, and OpenSSL would refuse them for that alone.
_VERIFY_FLAGS: Final = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN


def verifying_context(*, cadata: str | None = None) -> ssl.SSLContext:
    """
    Return a context that verifies chain and name; by the CAs of the system when none are given. ``cadata``: PEM.

    Raises: ssl.SSLError.
    """
    context = ssl.create_default_context(cadata=cadata)
    context.verify_flags = _VERIFY_FLAGS
    return context


class Pins(aiohttp.Fingerprint):
    """Accepts any of several certificates, whoever issued them. ``fingerprints``: their SHA-256; at least one."""

    def __init__(self, fingerprints: Collection[bytes]) -> None:
        self._each = [aiohttp.Fingerprint(fingerprint) for fingerprint in sorted(fingerprints)]
        super().__init__(self._each[0].fingerprint)

    def check(self, transport: asyncio.Transport) -> None:
        """Raises: ServerFingerprintMismatch when the certificate is none of them."""
        for last, pin in enumerate(self._each, start=1):
            try:
                return pin.check(transport)
            except aiohttp.ServerFingerprintMismatch:
                if last == len(self._each):
                    raise
        return None
