"""How long intermediate data stays in a bucket: the store's own rules remove it. Knows days and prefixes."""

from __future__ import annotations

from collections.abc import Mapping

from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

from services.blobs.minio import MinioBlobs, client_of

DAYS = {"series/": 30, "claims/": 30}  # what can be measured again, and what topics may still point at


def set_lifetimes(store: MinioBlobs, days: Mapping[str, int] = DAYS) -> None:
    """Have what lies below each prefix removed after so many days. Rules of others in the bucket stay; twice does no more than once.

    Raises StoreUnavailable.
    """
    client = client_of(store)
    ours = [_rule(f"longtake {store.prefix}{prefix}", store.prefix + prefix, kept) for prefix, kept in sorted(days.items())]
    with store.told(""):
        found = client.get_bucket_lifecycle(store.bucket)
        there = found.rules if found else []
        names = {rule.rule_id for rule in ours}
        wanted = [*(rule for rule in there if rule.rule_id not in names), *ours]
        if {rule.rule_id: rule for rule in there} != {rule.rule_id: rule for rule in wanted}:
            client.set_bucket_lifecycle(store.bucket, LifecycleConfig(wanted))


def _rule(name: str, prefix: str, days: int) -> Rule:
    return Rule(ENABLED, rule_filter=Filter(prefix=prefix), rule_id=name, expiration=Expiration(days=days))
