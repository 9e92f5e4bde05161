"""`python -m services.publish`: writes the messages' schemas anew, for whoever reads or registers them. Run it after changing one."""

from __future__ import annotations

import json

from services.messages import KINDS, SCHEMAS, schema


def publish() -> None:
    for kind, message in KINDS.items():
        path = SCHEMAS / f"{kind}-{message.schema_version}.0.schema.json"
        path.write_text(json.dumps(schema(message), indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    publish()
