"""The compressor: isal where the extra `speed` is installed, else zlib. Both have the same functions."""

try:  # compresses as small in a third of the time; checksums take a sixth
    from isal import isal_zlib as codec

    HAS_ISAL = True
except ImportError:  # pragma: no cover
    import zlib as codec  # type: ignore[no-redef]

    HAS_ISAL = False

__all__ = ["HAS_ISAL", "codec"]
