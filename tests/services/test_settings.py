"""Settings are read once, explained once, and never told."""

from dataclasses import fields
from pathlib import Path

import pytest

from pipelines.interfaces import WrongRequest
from services.settings import PREFIX, Settings

SECRET = "correct-horse"
STORE = {"LONGTAKE_S3": "http://s3", "LONGTAKE_S3_ACCESS_KEY": "me"}


def test_every_variable_is_read_and_written_back():
    given = {
        "LONGTAKE_KAFKA": "a:1,b:2", "LONGTAKE_SLOTS": "3", "LONGTAKE_SESSION_S": "7.5", "LONGTAKE_LOCAL": "yes",
        "LONGTAKE_ROOTS": "/films,/more", "LONGTAKE_PROVIDERS": "cuda,cpu", "LONGTAKE_FOLDER": "/store",
    }  # fmt: skip

    settings = Settings.from_env(given)

    assert (settings.kafka, settings.slots, settings.session_s, settings.local) == ("a:1,b:2", 3, 7.5, True)
    assert (settings.roots, settings.providers, settings.folder) == ((Path("/films"), Path("/more")), ("cuda", "cpu"), Path("/store"))
    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"LONGTAKE_SLOT": "3"}, "no setting is called LONGTAKE_SLOT"),
        ({"LONGTAKE_SLOTS": "many"}, "LONGTAKE_SLOTS='many' is not a whole number"),
        ({"LONGTAKE_SESSION_S": "x"}, "is not a number"),
        ({"LONGTAKE_LOCAL": "maybe"}, "is not 0 or 1"),
        ({"LONGTAKE_S3": "http://s3"}, "LONGTAKE_S3 needs LONGTAKE_S3_ACCESS_KEY"),
    ],
)
def test_what_cannot_be_understood_is_told_by_name(given: dict[str, str], told: str):
    with pytest.raises(WrongRequest, match=told):
        Settings.from_env(given)


@pytest.mark.parametrize(
    "given",
    [
        STORE | {"LONGTAKE_S3_SECRET_KEY": "minioadmin"},
        {"LONGTAKE_DATABASE": "postgresql+psycopg://me:Postgres@db/longtake"},
        {"LONGTAKE_KAFKA_PASSWORD": "changeme"},
    ],
)
def test_secrets_that_everybody_knows_are_refused_but_on_this_machine_alone(given: dict[str, str]):
    with pytest.raises(WrongRequest, match="everybody knows"):
        Settings.from_env(given)

    assert Settings.from_env(given | {"LONGTAKE_LOCAL": "1"}).local


def test_no_secret_is_in_what_settings_print():
    database = f"postgresql://me:{SECRET}@db/x"
    given = STORE | {"LONGTAKE_S3_SECRET_KEY": SECRET, "LONGTAKE_KAFKA_PASSWORD": SECRET, "LONGTAKE_DATABASE": database}

    settings = Settings.from_env(given)

    assert settings.s3_secret_key == SECRET
    assert SECRET not in repr(settings)


def test_every_setting_is_explained():
    assert [f.name for f in fields(Settings) if len(f.metadata["about"]) < 8] == []
    assert all((PREFIX + f.name.upper()).isidentifier() for f in fields(Settings))
