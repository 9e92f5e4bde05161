"""Has a MinIO server tell Kafka of films that are put into a bucket."""

from __future__ import annotations

from dataclasses import replace

from minio.notificationconfig import PrefixFilterRule, QueueConfig

from services.blobs.minio import MinioBlobs, client_of

QUEUE = "arn:minio:sqs::MAIN:kafka"  # MINIO_NOTIFY_KAFKA_*_MAIN in the server's environment
NAME = "longtake"


def notify(store: MinioBlobs, prefix: str) -> None:
    """Make the bucket where it is missing, and have what is created below `prefix` told; notifications of others stay.

    Raises StoreUnavailable.
    """
    client = client_of(store)
    with store.told(""):
        if not client.bucket_exists(store.bucket):
            client.make_bucket(store.bucket)
        found = client.get_bucket_notification(store.bucket)
        own = QueueConfig(events=["s3:ObjectCreated:*"], queue=QUEUE, config_id=NAME, prefix_filter_rule=PrefixFilterRule(prefix))
        others = [config for config in found.queue_config_list if config.config_id != NAME]
        client.set_bucket_notification(store.bucket, replace(found, queue_config_list=[*others, own]))
