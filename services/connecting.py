"""How commands find the services: by the environment, else by what `longtake up` wrote in this folder."""

from __future__ import annotations

import json
import os

from pipelines.interfaces import WrongRequest
from services.settings import PREFIX, Settings
from services.up import HERE, Place, embedded_settings


def settings_here(place: Place = HERE) -> Settings:
    """The environment's settings where it names a broker or a store, else those of `longtake up`. Raises WrongRequest."""
    if any(os.environ.get(PREFIX + name) for name in ("KAFKA", "S3", "FOLDER")):
        return Settings.from_env()
    try:
        told = json.loads(place.endpoints.read_text("utf-8"))
    except FileNotFoundError:
        raise WrongRequest(
            f"no services are known here: start them with `longtake up`, or name them with {PREFIX}KAFKA, {PREFIX}S3 and "
            f"{PREFIX}DATABASE (`longtake settings` explains them)"
        ) from None
    known = {name: value for name, value in told.items() if value}
    return Settings(**known, local=True)


def broker_here(place: Place = HERE) -> Settings:
    """The same, for commands that put messages. Raises WrongRequest where the services run without a broker."""
    settings = settings_here(place)
    if not settings.kafka:
        raise WrongRequest(
            "these services have their topics in memory, where no other process reaches them: put films into the folder "
            f"{settings.folder / settings.prefix}, or run `longtake up` with real servers"
        )
    return settings


def embedded_here(place: Place = HERE) -> Settings:
    """Those of `longtake up --embedded` in this folder, whether it runs or not."""
    place.folder.mkdir(mode=0o700, exist_ok=True)
    return embedded_settings(place)
