"""The loss of one example: what inference would say of the same text, and gradients that hold against small steps."""

import pytest

torch = pytest.importorskip("torch")

from model.compression.summary_tokens import Ratios, plan_windows  # noqa: E402
from model.language.config import DecoderConfig  # noqa: E402
from model.language.decoder import Decoder  # noqa: E402
from model.systems.video_xl import VideoXL  # noqa: E402
from model.systems.video_xl_config import SummaryConfig, VideoXLConfig  # noqa: E402
from model.training.forward import UNLABELLED, summed_loss  # noqa: E402

WIDTH, WINDOW = 32, 12
SIZES = DecoderConfig(
    vocab_size=50, hidden_size=WIDTH, intermediate_size=48, layers=3, heads=4, kv_heads=2, head_dim=8, eos_id=1, bos_id=None
)
PROMPT, TEXT = [3, 4, 5, 6], [7, 8, 9, 10, 11]


def a_decoder(dtype=torch.float32):
    torch.manual_seed(0)
    return Decoder(SIZES).to(dtype)


def visual_tokens(count, dtype=torch.float32):
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1), dtype=dtype)


def labels(count, prompt=(), text=(0, 1, 2, 3, 4)):
    """Which tokens are learned, by their number in the prompt and in the text."""
    found = torch.full((len(PROMPT) + count + len(TEXT),), UNLABELLED)
    for k in prompt:
        found[k] = PROMPT[k]
    for k in text:
        found[len(PROMPT) + count + k] = TEXT[k]
    return found


def loss_of(decoder, visual, labels_N, ratios, *, recompute=False):
    windows = None if ratios is None else plan_windows(len(visual), WINDOW, ratios)
    return summed_loss(decoder, torch.tensor(PROMPT), visual, torch.tensor(TEXT), labels_N, windows, recompute=recompute)


@pytest.mark.parametrize(
    ("count", "ratios"),
    [(30, Ratios((4,))), (24, Ratios((2,))), (31, Ratios((2, 4, 3), "listed")), (29, Ratios((5,)))],
    ids=str,
)
def test_the_loss_is_what_inference_says_of_the_same_text(count, ratios):
    decoder, visual = a_decoder(), visual_tokens(count)
    system = VideoXL(VideoXLConfig(decoder=SIZES, summary=SummaryConfig(window=WINDOW, ratios=(4,), mix="single")), decoder)
    watching = system.watch(PROMPT, ratios)
    watching.add(visual)
    logits = system.text_logits(watching.finish(), TEXT)
    expected = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(TEXT[1:]), reduction="sum")

    loss, tokens = loss_of(decoder, visual, labels(count, text=range(1, len(TEXT))), ratios)

    assert tokens == len(TEXT) - 1
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("ratios", [Ratios((4,)), Ratios((2, 3, 4), "listed"), None], ids=str)
def test_a_small_step_changes_the_loss_as_the_gradient_says(ratios):
    decoder, visual = a_decoder(torch.float64), visual_tokens(30, torch.float64).requires_grad_()
    labels_N = labels(30, prompt=(0, 2), text=range(1, len(TEXT)))
    loss_of(decoder, visual, labels_N, ratios)[0].backward()
    names = ["summary_embed.weight", "layers.0.summary_q.weight", "layers.1.summary_k.bias", "layers.2.summary_v.weight", "head.weight"]
    for tensor in [visual, *(decoder.get_parameter(name) for name in names[-1 if ratios is None else 0 :])]:
        direction = torch.randn_like(tensor)
        told = (tensor.grad * direction).sum().item()
        assert moved(decoder, visual, labels_N, ratios, tensor, direction) == pytest.approx(told, rel=0.02, abs=2e-3)  # norms are float32


@torch.no_grad()
def moved(decoder, visual, labels_N, ratios, tensor, direction, step=1e-3):
    """The loss's slope along a direction, by two small steps."""
    ends = []
    for sign in (1, -2):
        tensor += sign * step * direction
        ends.append(loss_of(decoder, visual, labels_N, ratios)[0].item())
    tensor += step * direction
    return (ends[0] - ends[1]) / (2 * step)


def test_windows_before_the_last_are_taught_too():
    decoder, visual = a_decoder(), visual_tokens(30).requires_grad_()
    loss_of(decoder, visual, labels(30), Ratios((4,)))[0].backward()
    assert (visual.grad[:WINDOW].abs().sum(1) > 0).all()


def test_visual_tokens_left_over_behind_the_last_summary_token_teach_nothing():
    decoder, visual = a_decoder(), visual_tokens(27).requires_grad_()
    loss_of(decoder, visual, labels(27, text=range(1, 5)), Ratios((4,)))[0].backward()
    assert visual.grad[-4].abs().sum() > 0
    assert visual.grad[-3:].abs().sum() == 0


def test_the_last_visual_token_predicts_the_first_of_the_text():
    decoder, visual = a_decoder(), visual_tokens(27).requires_grad_()
    loss, tokens = loss_of(decoder, visual, labels(27, text=[0]), Ratios((4,)))
    loss.backward()
    assert tokens == 1
    assert visual.grad[-1].abs().sum() > 0


def test_labels_inside_the_prompt_count():
    decoder = a_decoder()
    alone, tokens = loss_of(decoder, visual_tokens(30), labels(30, prompt=(1, 3), text=[]), Ratios((4,)))
    logits = decoder_logits(decoder, PROMPT)
    assert tokens == 2
    assert alone.item() == pytest.approx(-(logits[0, PROMPT[1]] + logits[2, PROMPT[3]]).item(), abs=1e-4)


@torch.no_grad()
def decoder_logits(decoder, ids):
    """Log-probabilities of a text alone."""
    from model.language.kv_memory import PromptContext

    x_TD = decoder.embed(torch.tensor(ids))
    return decoder.logits(decoder.read(x_TD, decoder.rotary.run(0, len(x_TD), x_TD), PromptContext())).log_softmax(-1)


@pytest.mark.parametrize("ratios", [Ratios((4,)), None], ids=str)
def test_recomputing_gives_the_same_gradients(ratios):
    found = []
    for recompute in (False, True):
        decoder, visual = a_decoder(), visual_tokens(30).requires_grad_()
        loss_of(decoder, visual, labels(30, prompt=(0,)), ratios, recompute=recompute)[0].backward()
        found.append([visual.grad, *(p.grad for p in decoder.parameters() if p.grad is not None)])
    for plain, recomputed in zip(*found, strict=True):
        assert torch.equal(plain, recomputed)


def test_read_plainly_every_row_sees_all_rows_before_it():
    decoder = a_decoder()
    loss, _ = loss_of(decoder, decoder.embed(torch.tensor([20, 21])).detach(), labels(2), None)
    logits = decoder_logits(decoder, [*PROMPT, 20, 21, *TEXT])
    expected = -sum(logits[5 + k, token] for k, token in enumerate(TEXT))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)


def test_a_text_alone_is_an_example():
    decoder = a_decoder()
    loss, tokens = loss_of(decoder, visual_tokens(0), labels(0), Ratios((4,)))
    expected = -sum(decoder_logits(decoder, [*PROMPT, *TEXT])[3 + k, token] for k, token in enumerate(TEXT))
    assert tokens == 5
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)


def test_counts_that_disagree_are_told_both():
    with pytest.raises(ValueError, match="each of its 39 tokens, got 38"):
        loss_of(a_decoder(), visual_tokens(30), labels(29), Ratios((4,)))
    with pytest.raises(ValueError, match="hold 29 visual tokens, the example has 30"):
        windows = plan_windows(29, WINDOW, Ratios((4,)))
        summed_loss(a_decoder(), torch.tensor(PROMPT), visual_tokens(30), torch.tensor(TEXT), labels(30), windows)
