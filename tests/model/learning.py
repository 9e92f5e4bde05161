"""Small things to learn from: a tiny checkpoint, pictures, records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.language.prompts import open_tokenizer
from model.systems.tiny import write_tiny
from model.systems.video_xl_config import VideoXLConfig
from model.training.conversations import read_records
from model.training.data import Examples, Pixels
from model.training.stages import Stage


def colours(path: Path, stage: Stage, size_px: int) -> Pixels:
    """A film of as many plain pictures as the stage looks at most, each of another grey."""
    count = min(stage.most_frames, 24)
    return np.stack([np.full((size_px, size_px, 3), (k * 37) % 256, np.uint8) for k in range(count)])


def record(name: str, question: str, answer: str, **media: Any) -> dict[str, Any]:
    return {"id": name, **media, "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def write_media(folder: Path) -> Path:
    if folder.exists():
        return folder
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, width, height in (("wide.png", 90, 60), ("tall.png", 50, 100)):
        Image.fromarray(random.integers(0, 255, (height, width, 3), np.uint8)).save(folder / name)
    (folder / "film.mp4").write_bytes(b"")
    return folder


RECORDS = [
    record("a", "<image>\nWhat is this?", "A wide one.", image="wide.png"),
    record("b", "Say what it is. <image>", "A tall one.", image="tall.png"),
    record("c", "<video>\nAnd this?", "A film.", video="film.mp4"),
    record("d", "What is two and two?", "Four."),
]


def examples(folder: Path, stage: Stage, records: list[dict[str, Any]] | None = None) -> Examples:
    """Of a folder in which a tiny checkpoint, media and a file of records are made."""
    checkpoint = write_tiny(folder / "tiny") if not (folder / "tiny").exists() else folder / "tiny"
    talks = folder / f"{hashlib.md5(json.dumps(records).encode()).hexdigest()}.json"
    if not talks.exists():  # another process may be reading it
        talks.write_text(json.dumps(RECORDS if records is None else records))
    found, _ = read_records(talks)
    config = VideoXLConfig.from_folder(checkpoint)
    return Examples(found, stage, config, open_tokenizer(checkpoint), write_media(folder / "media"), colours)
