"""Which keys a blob store takes, whatever it keeps them in."""

from __future__ import annotations


def checked(key: str) -> str:
    """The key, where it is a plain way down from the store's root. Raises ValueError."""
    if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
        raise ValueError(f"the key {key!r} leads out of the store or has an empty part")
    return key
