"""A procedural world of needles in noise, and a small Video-XL trained on it, so that retrieval can be measured with a net that retrieves.

A frame is 16 patches of noise; a needle puts a key's and a value's code on two of them. A question is some filler words and a key, its
answer the value. What lets so small a net learn it in minutes: one needle first, then more; a loss by which a summary token's state
behind the first layer tells its frame's key and value; tied embeddings; key projections that begin as query projections; memory at
places drawn at random, in order, so that none is new in a longer film (a window's own rows stay next to each other: with those drawn too
it learned nothing in 450 steps); queries sharpened at the end. `model/training` trains at the published places, one example at a time;
so films are read side by side here, by contexts of their own for the same decoder.

B = films, F = frames, M = memory rows, T = rows of a film, D = width, H = heads, E = width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from model.compression.summary_tokens import Ratios, Window
from model.language.config import DecoderConfig
from model.language.decoder import Decoder
from model.language.rotary import Angles
from model.systems.video_xl import Memory, VideoXL
from model.systems.video_xl_config import SummaryConfig, VideoXLConfig

KEYS, VALUES, FILLERS = 128, 64, 16
PROMPT = (KEYS + VALUES + FILLERS,)
PATCHES, CODE, WINDOW = 16, 64, 8 * 16  # one summary token a frame, eight frames a window
LONGEST_POSITION = 4096
SHARPENED = 1.5
CONFIG = VideoXLConfig(
    decoder=DecoderConfig(
        vocab_size=PROMPT[0] + 1, hidden_size=128, intermediate_size=256, layers=3, heads=4, kv_heads=4, head_dim=32,
        rope_theta=1e4, max_positions=LONGEST_POSITION, tied_head=True, bos_id=None, eos_id=0,
    ),
    summary=SummaryConfig(window=WINDOW, ratios=(PATCHES,), mix="single"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """needles: (frame, key, value) of each, no key twice. patches: (F, 16, 64)."""

    needles: tuple[tuple[int, int, int], ...]
    patches: Tensor


def made_film(frames: int, needles: int, random: torch.Generator, codes: Tensor) -> Film:
    """codes: (KEYS + VALUES, 64)."""
    at = torch.randperm(frames, generator=random)[:needles].sort().values
    keys = torch.randperm(KEYS, generator=random)[:needles]
    values = torch.randint(KEYS, KEYS + VALUES, (needles,), generator=random)
    patches = torch.randn(frames, PATCHES, CODE, generator=random) * 0.5
    places = torch.rand(needles, PATCHES, generator=random).argsort(1)
    for column, symbols in enumerate((keys, values)):
        patches[at, places[:, column]] = codes[symbols] + 0.3 * torch.randn(needles, CODE, generator=random)
    return Film(tuple(zip(at.tolist(), keys.tolist(), values.tolist(), strict=True)), patches)


class NeedleModel(nn.Module):
    """The decoder, and what turns patches into its visual tokens."""

    def __init__(self) -> None:
        super().__init__()
        width = CONFIG.decoder.hidden_size
        self.decoder = Decoder(CONFIG.decoder)
        self.projector = nn.Sequential(nn.Linear(CODE, 256), nn.GELU(), nn.Linear(256, width))
        self.codes = nn.Parameter(torch.randn(KEYS + VALUES, CODE).sign(), requires_grad=False)
        for name, weights in self.decoder.named_parameters():
            if "embed" in name:
                nn.init.normal_(weights, std=0.05)
            elif name.endswith(("o.weight", "down.weight")):
                weights.data *= 0.5
        for layer in self.decoder.layers:
            layer.k.load_state_dict(layer.q.state_dict())
            for name in "qkv":
                getattr(layer, f"summary_{name}").load_state_dict(getattr(layer, name).state_dict())

    def system(self) -> VideoXL:
        return VideoXL(CONFIG, self.decoder)

    @torch.no_grad()
    def sharpen(self) -> None:
        for layer in self.decoder.layers:
            for linear in (layer.q, layer.summary_q):
                linear.weight *= SHARPENED
                linear.bias *= SHARPENED

    @torch.no_grad()
    def watched(self, film: Film, look_back: int | None = None) -> Memory:
        watching = self.system().watch(PROMPT, Ratios((PATCHES,)), **({"look_back": look_back} if look_back else {}))
        for patches in film.patches.split(WINDOW // PATCHES):
            watching.add(self.projector(patches).flatten(0, 1))
        return watching.finish()


class _Batch:
    """A context for B films side by side, in which gradients flow: their rows come one film after the other."""

    def __init__(self, films: int, memory: Sequence[tuple[Tensor, Tensor]], kept_T: Tensor, random: torch.Generator) -> None:
        """memory: keys (not rotated) and values, (B, H, M, E) a layer; kept_T: rows that will stay."""
        self.films, self.memory, self.kept, self.random = films, memory, kept_T, random
        self.left: list[tuple[Tensor, Tensor]] = []

    def attend(self, layer: int, q_HTE: Tensor, k_HTE: Tensor, v_HTE: Tensor, angles: Angles) -> Tensor:
        q, k, v = (x.unflatten(1, (self.films, -1)).transpose(0, 1) for x in (q_HTE, k_HTE, v_HTE))
        old_k, old_v = self.memory[layer]
        self.left.append((torch.cat((old_k, k[:, :, self.kept]), 2), torch.cat((old_v, v[:, :, self.kept]), 2)))
        rows, earlier = k.shape[2], old_k.shape[2]
        turned_q = angles.at(torch.arange(earlier, earlier + rows)).turn(q)
        keys, values = angles.turn(torch.cat((old_k, k), 2)), torch.cat((old_v, v), 2)
        found = F.scaled_dot_product_attention(turned_q, keys, values, self.seen(rows, earlier))
        return found.transpose(0, 1).flatten(1, 2)

    def seen(self, rows: int, earlier: int) -> Tensor:
        return torch.ones(rows, earlier + rows, dtype=torch.bool).tril(earlier)

    def keep(self, layer: int, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> None:
        raise AssertionError("training reads every layer")


class _Questions(_Batch):
    """Rows are Q questions of the same length a film, which do not see each other."""

    length = 4

    def seen(self, rows: int, earlier: int) -> Tensor:
        question = torch.arange(rows) // self.length
        own = (question[:, None] == question).tril()
        return torch.cat((torch.ones(rows, earlier, dtype=torch.bool), own), 1)


def _angles(model: NeedleModel, earlier: int, rows: int, random: torch.Generator) -> Angles:
    """Of `earlier` rows of memory at random places, in order, out of a stretch of random length, and of `rows` that follow it closely."""
    stretch = earlier * (LONGEST_POSITION / max(earlier, 1)) ** float(torch.rand((), generator=random))
    places = torch.randperm(int(stretch), generator=random)[:earlier].sort().values
    return model.decoder.rotary.angles(torch.cat((places, torch.arange(rows) + int(stretch))), torch.float32)


def _loss(model: NeedleModel, films: list[Film], random: torch.Generator, bag_share: float) -> tuple[Tensor, float]:
    """(loss, share of questions answered rightly)."""
    decoder, count = model.decoder, len(films)
    empty = torch.zeros(count, CONFIG.decoder.heads, 0, CONFIG.decoder.head_dim)
    memory = [(empty, empty)] * CONFIG.decoder.layers
    first_states: list[Tensor] = []
    hook = decoder.layers[1].input_norm.register_forward_pre_hook(lambda _, x: first_states.append(x[0]))
    sink = _Batch(count, memory, torch.arange(len(PROMPT)), random)
    decoder.read(decoder.embed(torch.tensor(PROMPT * count)), _angles(model, 0, len(PROMPT), random), sink)
    memory, bags = sink.left, []
    patches = torch.stack([film.patches for film in films])
    for start in range(0, patches.shape[1], WINDOW // PATCHES):
        some = patches[:, start : start + WINDOW // PATCHES]
        window = Window(0, some.shape[1] * PATCHES, PATCHES)
        summaries = torch.from_numpy(window.summary_places)
        visual = model.projector(some).flatten(1, 2)
        x = torch.cat([decoder.interleave(v, torch.from_numpy(window.visual_places), summaries) for v in visual])
        everywhere = (torch.arange(count)[:, None] * window.length + summaries).flatten()
        context = _Batch(count, memory, summaries, random)
        first_states.clear()
        decoder.read(x, _angles(model, memory[0][0].shape[2], window.length, random), context, summaries_S=everywhere)
        bags.append(first_states[0][everywhere].unflatten(0, (count, -1)))
        memory = context.left
    hook.remove()
    answers, right = _answered(model, films, memory, random)
    return answers + bag_share * _bag_loss(model, films, torch.cat(bags, 1)), right


def _answered(model: NeedleModel, films: list[Film], memory: list[tuple[Tensor, Tensor]], random: torch.Generator) -> tuple[Tensor, float]:
    length, asked = _Questions.length, [film.needles for film in films]
    context = _Questions(len(films), memory, torch.arange(0), random)
    keys = torch.tensor([[key for _, key, _ in needles] for needles in asked])
    values = torch.tensor([[value for _, _, value in needles] for needles in asked])
    fillers = torch.randint(KEYS + VALUES, KEYS + VALUES + FILLERS, (*keys.shape, length - 1), generator=random)
    ids = torch.cat((fillers, keys[..., None]), -1)
    rows, earlier = ids[0].numel(), memory[0][0].shape[2]
    angles = _angles(model, earlier, length, random)
    angles = angles.at(torch.cat((torch.arange(earlier), torch.arange(earlier, earlier + length).repeat(rows // length))))
    hidden = model.decoder.read(model.decoder.embed(ids.flatten()), angles, context)
    logits = model.decoder.logits(hidden.unflatten(0, (-1, length))[:, -1])
    return F.cross_entropy(logits, values.flatten()), float((logits.argmax(-1) == values.flatten()).float().mean())


def _bag_loss(model: NeedleModel, films: list[Film], states_BFD: Tensor) -> Tensor:
    rows = [(b, frame, symbol) for b, film in enumerate(films) for frame, *symbols in film.needles for symbol in symbols]
    b, frame, symbol = torch.tensor(rows).T
    return F.cross_entropy(model.decoder.logits(states_BFD[b, frame]), symbol)


# (steps, films, (fewest, most) frames, needles)
COURSE = (
    (150, 64, (1, 1), 1), (150, 32, (2, 4), 2), (200, 16, (4, 8), 4), (200, 8, (8, 16), 8),
    (150, 4, (16, 48), 16), (100, 2, (32, 128), 32), (120, 2, (64, 256), 64),
)  # fmt: skip


def train(course: Sequence[tuple[int, int, tuple[int, int], int]] = COURSE, seed: int = 0, report: bool = False) -> NeedleModel:
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    model = NeedleModel()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-3, betas=(0.9, 0.95), weight_decay=0.05)
    total = sum(steps for steps, *_ in course)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, total=total))
    for steps, films, (fewest, most), needles in course:
        shares = []
        for step in range(steps):
            frames = int(torch.randint(fewest, most + 1, (), generator=random))
            batch = [made_film(frames, min(needles, frames), random, model.codes) for _ in range(films)]
            loss, right = _loss(model, batch, random, bag_share=0.5)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            rate.step()
            shares.append(right)
            if report and step % 25 == 24:
                print(f"{frames} frames, {needles} needles: loss {float(loss):.3f}, right {sum(shares[-25:]) / 25:.2f}", flush=True)
    model.sharpen()
    return model.eval()


def _rate(step: int, total: int) -> float:
    """Rises for 50 steps, then falls by a cosine to a tenth."""
    return min(1.0, (step + 1) / 50) * (0.55 + 0.45 * float(torch.cos(torch.tensor(step / total * torch.pi))))


def load(path: Path) -> NeedleModel:
    model = NeedleModel()
    load_model(model, path)
    return model.eval()


def save(model: NeedleModel, path: Path) -> None:
    save_model(model, str(path))
