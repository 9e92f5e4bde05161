"""Sizes of a decoder. Knows no tensor and no checkpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """Sizes of a Qwen2 decoder (Qwen2-7B-Instruct by default)."""

    vocab_size: int = 152_064
    hidden_size: int = 3584
    intermediate_size: int = 18_944
    layers: int = 28
    heads: int = 28
    kv_heads: int = 4
    head_dim: int = 128
    norm_eps: float = 1e-6
    rope_theta: float = 1e6
    max_positions: int = 32_768  # trained; beyond, rotary angles go on untrained
    tied_head: bool = False
    bos_id: int | None = 151_643
    eos_id: int = 151_645

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one token over all layers, 16 bits each."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_dim
