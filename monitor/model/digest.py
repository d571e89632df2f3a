"""The hash of whatever is compared and kept, but protects nothing: fingerprints and entity tags. Pure."""

from hashlib import sha256


def digest(content: bytes) -> bytes:
    """Return the SHA-256, 32 bytes. Other hashes may be missing: a host in FIPS mode has neither BLAKE2 nor MD5."""
    return sha256(content, usedforsecurity=False).digest()
