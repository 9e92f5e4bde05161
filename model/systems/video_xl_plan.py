"""What watching a film will take, told before a picture is decoded: tokens, memory, whether it fits, and which setting does. No tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor

from model.compression.summary_tokens import Ratios, plan_windows
from model.systems.video_xl_config import VideoXLConfig

PROMPT_TOKENS = 14  # of the usual words before the video
TEXT_TOKENS = 1536  # kept free for a question and its answer
RATIOS = (2, 4, 8, 16)  # published


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """frames and everything that follows from them. Bytes are of the model's own type (16 or 32 bits a number)."""

    frames: int
    ratio: str
    windows: int
    visual_tokens: int
    summary_tokens: int
    context_used: int  # positions at most: the prompt, the memory, and the longest of a window and a question with its answer
    context: int
    memory_bytes: int  # keys and values that stay
    raw_bytes: int  # what they would be without compression
    weight_bytes: int
    fits: bool
    advice: str  # which setting fits, where this one does not; empty otherwise

    def told(self) -> str:
        """A sentence with the numbers."""
        used = (
            f"{self.frames} frames make {self.visual_tokens:,} visual tokens, at ratio {self.ratio} {self.summary_tokens:,} summary tokens"
        )
        return f"{used}; they take {self.context_used:,} of {self.context:,} positions and {size_told(self.memory_bytes)} of memory"


def plan_tokens(config: VideoXLConfig, frames: int, ratios: Ratios, *, bytes_per_number: int = 2) -> TokenPlan:
    """Counts exactly what `watch` will do. ratios that are drawn by chance are counted as they will be drawn."""
    used, summaries, windows = _used(config, frames, ratios)
    token_bytes = config.decoder.kv_bytes_per_token * bytes_per_number // 2
    visual = frames * config.vision.tokens_per_frame
    context = config.decoder.max_positions
    return TokenPlan(
        frames=frames,
        ratio=str(ratios),
        windows=windows,
        visual_tokens=visual,
        summary_tokens=summaries,
        context_used=used,
        context=context,
        memory_bytes=(summaries + PROMPT_TOKENS) * token_bytes,
        raw_bytes=(visual + PROMPT_TOKENS) * token_bytes,
        weight_bytes=parameters(config) * bytes_per_number,
        fits=used <= context,
        advice="" if used <= context else _advice(config, frames),
    )


def _used(config: VideoXLConfig, frames: int, ratios: Ratios) -> tuple[int, int, int]:
    """(positions, summary tokens, windows)."""
    windows = plan_windows(frames * config.vision.tokens_per_frame, config.summary.window, ratios, config.decoder.max_positions)
    summaries = sum(window.summaries for window in windows)
    longest = max((window.length for window in windows), default=0)
    return PROMPT_TOKENS + summaries + max(longest, TEXT_TOKENS), summaries, len(windows)


def _advice(config: VideoXLConfig, frames: int) -> str:
    context = config.decoder.max_positions
    for ratio in RATIOS:
        if config.summary.window % ratio == 0 and _used(config, frames, Ratios((ratio,)))[0] <= context:
            return f"--ratio {ratio} fits"
    most = most_frames(config, Ratios((max(RATIOS),)))
    beyond = "the whole needs --look-back N when it is watched (a window sees the N before it) and --retrieve N when it is asked"
    return f"--ratio {max(RATIOS)} --frames {most} fits; {beyond}"


def most_frames(config: VideoXLConfig, ratios: Ratios) -> int:
    """The longest film, in frames, that fits the model's context."""

    def fits(frames: int) -> bool:
        return _used(config, frames, ratios)[0] <= config.decoder.max_positions

    return _last_true(fits, config.decoder.max_positions * max(ratios.values))


def _last_true(holds: Callable[[int], bool], limit: int) -> int:
    """The last number from 0 on for which something holds that, once false, stays false."""
    low, high = 0, max(1, limit)
    while low < high:
        middle = floor((low + high + 1) / 2)
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def parameters(config: VideoXLConfig) -> int:
    """Numbers in the whole checkpoint."""
    d, v = config.decoder, config.vision
    queries, keys = d.heads * d.head_dim, d.kv_heads * d.head_dim
    attention = d.hidden_size * (queries + 2 * keys) + queries + 2 * keys
    layer = 2 * attention + queries * d.hidden_size + 3 * d.hidden_size * d.intermediate_size + 2 * d.hidden_size
    decoder = d.layers * layer + d.vocab_size * d.hidden_size * (1 if d.tied_head else 2) + 2 * d.hidden_size
    projector = v.hidden_size * v.projected_size + v.projected_size**2 + 2 * v.projected_size
    tower_layer = 4 * (v.hidden_size**2 + v.hidden_size) + 2 * v.hidden_size * v.intermediate_size + v.intermediate_size + 5 * v.hidden_size
    embeddings = v.hidden_size * (1 + 3 * v.patch_px**2 + v.side**2 + 1)
    return decoder + projector + v.layers * tower_layer + embeddings + 4 * v.hidden_size


def size_told(count: int) -> str:
    return f"{count / (1 << 30):.2f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MiB"
