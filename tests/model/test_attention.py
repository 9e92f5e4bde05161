"""Attention in pieces is attention."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402, N812

from model.language.attention import attend_all, attend_causal, attend_masked, join  # noqa: E402
from model.language.rotary import Rotary  # noqa: E402

SIZES = [(5, 5, 4, 2, 8), (3, 17, 6, 2, 16), (1, 9, 4, 4, 5), (40, 1000, 7, 1, 12)]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=seen, enable_gqa=True)[0]


@pytest.mark.parametrize(("rows", "keys", "heads", "groups", "width"), SIZES)
def test_pieces_equal_plain_attention(rows: int, keys: int, heads: int, groups: int, width: int) -> None:
    q, k, v = drawn(heads, rows, width), drawn(groups, keys, width, seed=1), drawn(groups, keys, width, seed=2)
    everything = torch.ones(rows, keys, dtype=torch.bool)
    lower_right = everything.tril(keys - rows)

    torch.testing.assert_close(attend_all(q, k, v).out, plain(q, k, v, everything), atol=2e-6, rtol=0)
    torch.testing.assert_close(attend_causal(q, k, v).out, plain(q, k, v, lower_right), atol=2e-6, rtol=0)
    torch.testing.assert_close(attend_masked(q, k, v, lower_right).out, plain(q, k, v, lower_right), atol=2e-6, rtol=0)


@pytest.mark.parametrize("border", [1, 8, 19])
def test_two_parts_joined_are_the_whole(border: int) -> None:
    q, k, v = drawn(4, 3, 8), drawn(2, 20, 8, seed=1), drawn(2, 20, 8, seed=2)

    joined = join(attend_all(q, k[:, :border], v[:, :border]), attend_all(q, k[:, border:], v[:, border:]))

    whole = attend_all(q, k, v)
    torch.testing.assert_close(joined.out, whole.out, atol=2e-6, rtol=0)
    torch.testing.assert_close(joined.lse, whole.lse, atol=2e-6, rtol=0)


def test_questions_of_other_lengths_stand_side_by_side() -> None:
    """Leading dimensions: a batch in which each question sees its own keys only as far as it goes."""
    q, k, v = drawn(3, 4, 1, 8), drawn(3, 2, 6, 8, seed=1), drawn(3, 2, 6, 8, seed=2)
    lengths = [2, 6, 1]

    together = attend_masked(q, k, v, torch.arange(6)[None, None] < torch.tensor(lengths)[:, None, None])

    for number, length in enumerate(lengths):
        alone = attend_all(q[number], k[number, :, :length], v[number, :, :length])
        torch.testing.assert_close(together.out[number], alone.out, atol=2e-6, rtol=0)


def test_half_precision_keeps_its_type() -> None:
    q, k, v = (drawn(2, 6, 8).to(torch.bfloat16) for _ in range(3))

    assert attend_causal(q[:, -2:], k, v).out.dtype == torch.bfloat16


def test_angles_far_out_are_those_of_the_authors_formula() -> None:
    inverse_frequencies = 1.0 / (1e6 ** (torch.arange(0, 128, 2).float() / 128))  # Qwen2's, whose rounding a late position multiplies
    turns = torch.outer(torch.tensor([5.0, 30_000.0]), inverse_frequencies)

    angles = Rotary(head_dim=128, theta=1e6).angles(torch.tensor([5, 30_000]), torch.float32)

    assert torch.equal(angles.cos, torch.cat((turns, turns), -1).cos())
    assert torch.equal(angles.sin, torch.cat((turns, turns), -1).sin())


def test_a_key_turned_to_another_place_keeps_its_distance_to_queries_turned_with_it() -> None:
    rotary = Rotary(head_dim=8, theta=1e4)
    q, k = drawn(1, 1, 8), drawn(1, 1, 8, seed=3)

    def product(at: int, key_at: int) -> float:
        return float((rotary.run(at, 1, q).turn(q) * rotary.run(key_at, 1, k).turn(k)).sum())

    assert product(9, 4) == pytest.approx(product(1009, 1004), abs=1e-4)
    angles = rotary.run(77, 1, q)
    torch.testing.assert_close(angles.turn_back(angles.turn(q)), q, atol=1e-6, rtol=0)
