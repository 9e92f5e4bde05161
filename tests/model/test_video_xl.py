"""Watching beside the same computation written plainly, and answers as they are made."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from benchmarks.plain_video_xl import watch_plainly  # noqa: E402
from model.compression.summary_tokens import Ratios  # noqa: E402
from model.language.config import DecoderConfig  # noqa: E402
from model.language.decoder import Decoder  # noqa: E402
from model.language.generate import Chooser, Generation  # noqa: E402
from model.systems.video_xl import Memory, VideoXL  # noqa: E402
from model.systems.video_xl_config import SummaryConfig, VideoXLConfig  # noqa: E402


def system(layers: int = 3, heads: int = 4, kv_heads: int = 2, window: int = 24, tied: bool = False) -> VideoXL:
    torch.manual_seed(layers)
    decoder = DecoderConfig(
        vocab_size=61, hidden_size=32, intermediate_size=48, layers=layers, heads=heads, kv_heads=kv_heads, head_dim=8, eos_id=60,
        bos_id=59, tied_head=tied,
    )  # fmt: skip
    config = VideoXLConfig(decoder=decoder, summary=SummaryConfig(window=window))
    return VideoXL(config, Decoder(decoder).eval())


def visual(tokens: int) -> torch.Tensor:
    return torch.randn(tokens, 32, generator=torch.Generator().manual_seed(tokens))


def watched(net: VideoXL, tokens: int, ratio: int, prompt: list[int] | None = None, portion: int = 5) -> Memory:
    watching = net.watch([1, 2, 3] if prompt is None else prompt, Ratios((ratio,)))
    for part in visual(tokens).split(portion):
        watching.add(part)
    return watching.finish()


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("tokens", "ratio"), [(24, 4), (100, 8), (70, 2), (31, 5), (23, 24), (50, 7)])
def test_what_is_kept_equals_the_plain_computation(layers: int, tokens: int, ratio: int) -> None:
    net = system(layers)
    memory = watched(net, tokens, ratio)

    keys, values = watch_plainly(net.decoder, [1, 2, 3], visual(tokens), net.config.summary.window, ratio)

    blocks = (memory.sink, *memory.blocks)
    torch.testing.assert_close(torch.cat([b.keys for b in blocks], 2), torch.stack(keys), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.cat([b.values for b in blocks], 2), torch.stack(values), atol=1e-5, rtol=0)
    assert memory.rows == 3 + tokens // ratio


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 1), (6, 3)])
def test_heads_may_share_keys_in_any_way(heads: int, kv_heads: int) -> None:
    net = system(2, heads, kv_heads)

    keys, _ = watch_plainly(net.decoder, [1, 2, 3], visual(60), 24, 4)

    torch.testing.assert_close(torch.cat([b.keys for b in watched(net, 60, 4).blocks], 2), torch.stack(keys)[:, :, 3:], atol=1e-5, rtol=0)


def test_portions_change_nothing() -> None:
    net = system()
    once, many = watched(net, 100, 4, portion=100), watched(net, 100, 4, portion=1)

    assert all(torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values) for a, b in zip(once.blocks, many.blocks, strict=True))


def test_a_window_is_folded_as_soon_as_its_tokens_are_there() -> None:
    watching = system().watch([1], Ratios((4,)))

    assert [len(watching.add(part)) for part in visual(60).split(20)] == [0, 1, 1]
    assert [(b.start, b.end) for b in watching.memory.blocks] == [(0, 24), (24, 48)]
    assert [(b.start, b.end) for b in watching.finish().blocks] == [(0, 24), (24, 48), (48, 60)]


def test_text_alone_and_a_video_without_a_prompt_are_answered_too() -> None:
    net = system()
    text_only = net.watch([1, 2, 3], Ratios((4,))).finish()
    bare = watched(net, 30, 4, prompt=[])

    options = Generation(max_new_tokens=4, stop_ids=frozenset())
    assert (text_only.rows, bare.rows) == (3, 7)
    assert len(list(net.answer(text_only, [[5, 6]], options))) == len(list(net.answer(bare, [[5, 6]], options))) == 4


def test_text_alone_is_an_ordinary_language_model() -> None:
    """The prompt, the question and the answer so far read in one go say the same as read piece by piece."""
    net = system()
    ids = [
        token.id
        for token in net.answer(net.watch([1, 2, 3], Ratios((4,))).finish(), [[5, 6]], Generation(max_new_tokens=6, stop_ids=frozenset()))
    ]

    whole = net.text_logits(net.watch([], Ratios((4,))).finish(), [1, 2, 3, 5, 6, *ids])

    assert whole[4:-1].argmax(-1).tolist() == ids


def test_a_tied_head_is_the_embedding() -> None:
    net = system(tied=True)
    hidden = torch.randn(2, 32)

    torch.testing.assert_close(net.decoder.logits(hidden), net.decoder.norm(hidden) @ net.decoder.embed.weight.T)
    assert "head.weight" not in net.decoder.state_dict()


def test_an_answer_ends_at_a_stop_token_and_says_so() -> None:
    net = system()
    memory = watched(net, 48, 4)
    free = [t.id for t in net.answer(memory, [[7, 8]], Generation(max_new_tokens=8, stop_ids=frozenset()))]

    stopped = list(net.answer(memory, [[7, 8]], Generation(max_new_tokens=8, stop_ids=frozenset({free[2]}))))

    assert [t.id for t in stopped] == free[: free.index(free[2]) + 1]
    assert [t.last for t in stopped] == [False] * (len(stopped) - 1) + [True]


def test_the_checkpoints_own_ends_stop_an_answer() -> None:
    assert system().stop_ids == {59, 60}


def test_log_shares_are_those_of_the_logits() -> None:
    net = system()
    memory = watched(net, 48, 4)

    token = next(net.answer(memory, [[7, 8]], Generation(max_new_tokens=1)))

    logits = net.text_logits(memory, [7, 8])[-1]
    assert token.id == int(logits.argmax())
    assert token.log_share == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-5)


# --- choosing ---------------------------------------------------------------------------------------------------------------


def test_the_likeliest_is_chosen_unless_told_otherwise() -> None:
    assert Chooser(Generation(), [0]).choose(torch.tensor([0.0, 3.0, 1.0]))[0] == 1


def test_a_penalty_makes_what_was_said_less_likely_whatever_its_sign() -> None:
    chooser = Chooser(Generation(repetition_penalty=4.0), [0])

    assert chooser.choose(torch.tensor([4.0, 2.0, -1.0]))[0] == 1  # 4 / 4 < 2
    assert chooser.choose(torch.tensor([-1.0, -1.0, -2.0]))[0] == 2  # -1 * 4 < -2, of the question's 0 and of the answer's 1


def test_draws_keep_to_the_likeliest_and_to_their_seed() -> None:
    logits = torch.tensor([2.0, 1.9, 1.8, -5.0, -6.0])

    def draws(**how: float) -> list[int]:
        chooser = Chooser(Generation(temperature=1.0, **how), [])  # type: ignore[arg-type]
        return [chooser.choose(logits)[0] for _ in range(200)]

    assert set(draws(top_k=2)) == {0, 1}
    assert set(draws(top_p=0.5)) == {0, 1}  # the first holds .36, the second crosses .5
    assert set(draws(top_p=0.01)) == {0}
    assert draws(seed=3) == draws(seed=3) != draws(seed=4)


def test_draws_follow_the_shares() -> None:
    chooser = Chooser(Generation(temperature=0.5), [])
    logits = torch.tensor([0.0, 0.5])
    share = sum(chooser.choose(logits)[0] for _ in range(2000)) / 2000

    assert share == pytest.approx(torch.tensor([0.0, 1.0]).softmax(0)[1].item(), abs=0.04)  # 4 deviations of a share of 2000


def test_a_temperature_near_nothing_draws_the_likeliest() -> None:
    assert Chooser(Generation(temperature=1e-40), []).choose(torch.tensor([3.0, -2.0, 3.5]))[0] == 2


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"repetition_penalty": 0.0}])
def test_options_refuse_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        Generation(**wrong)  # type: ignore[arg-type]
