"""Our modules filled with a golden case's weights."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from model.encoders.clip import ClipEncoder
from model.language.decoder import Decoder
from model.systems.video_xl import VideoXL
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows
from tests.goldens.folders import CaseFolder

M = TypeVar("M", bound=nn.Module)


def video_xl_of(case: CaseFolder) -> VideoXL:
    config = VideoXLConfig.from_json(case.config)
    return VideoXL(config, _filled(Decoder(config.decoder), "decoder", case, config))


def clip_of(case: CaseFolder) -> ClipEncoder:
    config = VideoXLConfig.from_json(case.config)
    return _filled(ClipEncoder(config.vision), "encoder", case, config)


def _filled(module: M, part: str, case: CaseFolder, config: VideoXLConfig) -> M:
    used = [row for row in rows(config) if row.part == part and row.parameter]
    module.load_state_dict({(row.parameter or "").removeprefix(f"{part}."): case.weights[row.key] for row in used})
    return module.eval()
