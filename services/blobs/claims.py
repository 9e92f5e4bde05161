"""Values too large for a topic: put into the blob store under their digest, and sent as a claim to them."""

from __future__ import annotations

import hashlib

from pipelines.interfaces import Blobs
from services.messages import BadMessage, Claim


def claim_put(blobs: Blobs, prefix: str, data: bytes, content_type: str) -> Claim:
    """Keep `data` below `prefix` (`claims/`); the same bytes are the same claim. Its uri is the key in the blob store."""
    digest = hashlib.sha256(data).hexdigest()
    key = f"{prefix.rstrip('/')}/{digest}"
    blobs.put(key, data)  # also where it lies there: what expires by age begins a new life
    return Claim(key, digest, len(data), content_type)


def claim_get(blobs: Blobs, claim: Claim) -> bytes:
    """The bytes claimed, and no others. Raises KeyError where they are gone, BadMessage where others lie there."""
    data = blobs.get(claim.uri)
    if len(data) != claim.size or hashlib.sha256(data).hexdigest() != claim.sha256:
        raise BadMessage(f"{claim.uri} is damaged: its bytes are not those that were claimed")
    return data
