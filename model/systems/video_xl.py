"""Video-XL (Shu et al. 2024): a film watched once into summary tokens, then asked any number of times.

Watching folds each window of visual tokens into the keys and values of its summary tokens as soon as the window is full. Nothing before
the question depends on it, so a memory is a value: it can be kept, shipped, and asked by many at once while watching goes on.

V = visual tokens, D = the language model's width, T = text tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from model.compression.summary_tokens import Ratios, Window, Windows, plan_windows
from model.language.decoder import Decoder
from model.language.generate import Chooser, Generation
from model.language.kv_memory import Block, KVBuffer, PromptContext, StepContext, Tails, TextContext, WindowContext
from model.systems.video_xl_config import VideoXLConfig

ROOM_WINDOWS = 2  # windows' worth of rows kept free behind a memory of unknown size


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """A watched video: the prompt before it, kept whole, and one block a window."""

    sink: Block
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        return len(self.sink) + sum(map(len, self.blocks))

    @property
    def visual_tokens(self) -> int:
        return self.blocks[-1].end if self.blocks else 0


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. question: which of those asked together it answers; log_share: its log-probability."""

    question: int
    id: int
    log_share: float
    last: bool = False


@dataclass(slots=True)
class _Places:
    """A window's index tensors, on the device."""

    visual: Tensor
    summary: Tensor
    stairs: Tensor


@dataclass(eq=False)
class VideoXL:
    """The decoder with its ways to watch and to answer. What turns pictures into visual tokens is an encoder's affair."""

    config: VideoXLConfig
    decoder: Decoder
    _places: dict[tuple[int, int, int], _Places] = field(default_factory=dict)

    def watch(
        self,
        prompt_ids: Sequence[int],
        ratios: Ratios,
        *,
        visual_tokens: int | None = None,
        known: Memory | None = None,
        look_back: int | None = None,
    ) -> Watching:
        """Begin to watch. prompt_ids: the text before the video; visual_tokens: of the whole film, where known; known: a memory to go on
        with, made with the same prompt, ratios and look_back.

        look_back: how many windows before it a window sees, besides the prompt, as if the film began there. So watching costs the same
        per second however long it goes on, but it is another computation than the published one, which sees them all (None).
        """
        return Watching(self, prompt_ids, ratios, visual_tokens, known, look_back)

    @torch.no_grad()
    def opened(self, memory: Memory, room: int = 0) -> KVBuffer:
        """The memory in the form in use: keys rotated to their places. room: rows kept free behind it."""
        buffer = self._buffer(memory.rows + room)
        for block in (memory.sink, *memory.blocks):
            buffer.append(block)
        return buffer

    def answer(self, memory: Memory | KVBuffer, texts: Sequence[Sequence[int]], options: Generation | None = None) -> Iterator[Token]:
        """Answer questions about one memory, all at once, token by token, each as if it were alone; the memory stays as it is.

        texts: the ids behind the video, one sequence a question. Tokens come in the order in which they are made.
        """
        options = options or Generation()
        buffer = memory if isinstance(memory, KVBuffer) else self.opened(memory)
        stops = self.stop_ids if options.stop_ids is None else options.stop_ids
        asking = _Asking(self.decoder, buffer, texts, options)
        while asking.open:
            for question, chosen, log_share in asking.step():
                last = chosen in stops or asking.made >= options.max_new_tokens
                if last:
                    asking.close(question)
                yield Token(question, chosen, log_share, last)

    def answer_from(
        self,
        sink: Block,
        fetch: Callable[[int], Block],
        chosen: Sequence[tuple[int, ...]],
        texts: Sequence[Sequence[int]],
        options: Generation | None = None,
    ) -> Iterator[Token]:
        """Answer questions from the blocks that `retrieval.choose_blocks` chose for each, on consecutive places behind the prompt.

        fetch: a block by its number, from wherever it is kept; questions that look at the same blocks are answered together.
        """
        for numbers in dict.fromkeys(chosen):
            asking = [question for question, own in enumerate(chosen) if own == numbers]
            memory = Memory(sink, tuple(map(fetch, numbers)))
            for token in self.answer(memory, [texts[question] for question in asking], options):
                yield replace(token, question=asking[token.question])

    @torch.no_grad()
    def text_logits(self, memory: Memory | KVBuffer, ids: Sequence[int], tails: Tails | None = None) -> Tensor:
        """(T, vocabulary) float32: what would follow each of these tokens behind the video. tails: where their keys and values go."""
        buffer = memory if isinstance(memory, KVBuffer) else self.opened(memory)
        tails = tails or Tails(buffer, 1, len(ids))
        return self.decoder.logits(_read(self.decoder, tails, 0, ids))

    @property
    def stop_ids(self) -> frozenset[int]:
        decoder = self.config.decoder
        return frozenset(i for i in (decoder.eos_id, decoder.bos_id) if i is not None)

    def _buffer(self, rows: int) -> KVBuffer:
        return KVBuffer(self.config.decoder, self.decoder.dtype, self.decoder.device, rows)

    @torch.no_grad()
    def sink(self, prompt_ids: Sequence[int]) -> Block:
        """Keys and values of the text before the video."""
        context = PromptContext()
        x_TD = self.decoder.embed(torch.tensor(prompt_ids, device=self.decoder.device, dtype=torch.long))
        self.decoder.store(x_TD, self.decoder.rotary.run(0, len(x_TD), x_TD), context)
        return context.block()

    @torch.no_grad()
    def condense(self, visual_VD: Tensor, window: Window, memory: KVBuffer) -> Block:
        """Fold one window: what stays of it, not yet appended to the memory."""
        if not window.summaries:  # fewer visual tokens than one summary token stands for
            nothing = memory.keys[:, :, :0].clone()
            return Block(nothing, nothing, window.start, window.end)
        places = self.places(window)
        memory.make_room(window.length)
        x_TD = self.decoder.interleave(visual_VD.to(memory.keys), places.visual, places.summary)
        context = WindowContext(memory, places.summary, places.stairs)
        self.decoder.condense(x_TD, places.summary, self.decoder.rotary.run(memory.length, window.length, x_TD), context)
        return context.block(window.start, window.end)

    def places(self, window: Window) -> _Places:
        key = (window.raw, window.ratio, window.carried)
        if key not in self._places:
            visual, summary = (torch.from_numpy(p).to(self.decoder.device) for p in (window.visual_places, window.summary_places))
            stairs = torch.arange(window.length, device=summary.device) <= summary[:, None]
            self._places[key] = _Places(visual, summary, stairs)
        return self._places[key]


class Watching:
    """A video while it is being watched. Visual tokens come in any portions; each full window is folded at once."""

    def __init__(
        self,
        system: VideoXL,
        prompt_ids: Sequence[int],
        ratios: Ratios,
        visual_tokens: int | None,
        known: Memory | None,
        look_back: int | None,
    ) -> None:
        if look_back is not None and look_back < 0:
            raise ValueError(f"a window looks back at 0 windows or more, got {look_back}")
        config = system.config
        chosen = ratios.of_windows(config.summary.window, visual_tokens, config.decoder.max_positions)
        blocks = known.blocks if known else ()
        self.system = system
        self.windows = Windows(config.summary.window, chosen)
        _replay(self.windows, blocks)
        self._sink = known.sink if known else system.sink(prompt_ids)
        self._blocks = list(blocks)
        self._look_back = look_back
        self._buffer = system.opened(Memory(self._sink, tuple(self._seen())), self._rows_to_come(ratios, visual_tokens))
        self._waiting: list[Tensor] = []
        self.visual_tokens = self.windows.start  # that have come so far

    def _rows_to_come(self, ratios: Ratios, visual_tokens: int | None) -> int:
        """Of the whole film where its length is known, so that the memory never has to move; and of the window being read."""
        config = self.system.config
        window = config.summary.window
        if visual_tokens is None or self._look_back is not None:
            return ROOM_WINDOWS * window
        planned = plan_windows(visual_tokens, window, ratios, config.decoder.max_positions)
        return sum(w.summaries for w in planned) + max((w.length for w in planned), default=0)

    @property
    def memory(self) -> Memory:
        """All windows folded so far; may be asked while watching goes on."""
        return Memory(self._sink, tuple(self._blocks))

    def add(self, visual_VD: Tensor) -> list[Block]:
        """Take visual tokens in, (V, D); returns the blocks that became full."""
        self._waiting.append(visual_VD)
        self.visual_tokens += len(visual_VD)
        found = []
        while window := self.windows.full(self.visual_tokens):
            found.append(self._fold(window))
        return found

    def finish(self) -> Memory:
        """No more tokens come: the last window, shorter than the others, is folded too."""
        if window := self.windows.rest(self.visual_tokens):
            self._fold(window)
        return self.memory

    @torch.no_grad()
    def _fold(self, window: Window) -> Block:
        waiting = torch.cat(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting = [waiting[window.raw :]]
        block = self.system.condense(waiting[: window.raw], window, self._buffer)
        self._blocks.append(block)
        if self._look_back is None:
            self._buffer.append(block)
        else:
            self._buffer.refill((self._sink, *self._seen()))
        return block

    def _seen(self) -> list[Block]:
        """The blocks that the next window sees."""
        return self._blocks[max(0, len(self._blocks) - self._look_back) if self._look_back is not None else 0 :]


def _replay(windows: Windows, blocks: Sequence[Block]) -> None:
    """Cut again what was folded before, so that ratios and carried tokens go on where they stopped."""
    for number, block in enumerate(blocks):
        window = windows.full(block.end)
        if window is None or (window.end, window.summaries) != (block.end, len(block)):
            raise ValueError(
                f"block {number} of the memory ends at visual token {block.end} with {len(block)} rows, which is no whole window of "
                f"{windows.size} at these ratios; only a memory that stopped between whole windows can be gone on with"
            )


class _Asking:
    """Questions asked together, step by step. `open`: those not answered yet, by their number."""

    def __init__(self, decoder: Decoder, memory: KVBuffer, texts: Sequence[Sequence[int]], options: Generation) -> None:
        self.decoder, self.options = decoder, options
        self.open = list(range(len(texts)))
        self.made = 0
        self._texts = texts
        self._choosers = [Chooser(options, text) for text in texts]
        self._tails = Tails(memory, len(texts), max(map(len, texts), default=0) + options.max_new_tokens)
        self._said: list[int] = []

    @torch.no_grad()
    def step(self) -> list[tuple[int, int, float]]:
        """(question, token, log-probability) for each open question."""
        logits = self._first() if not self.made else self._next()
        self.made += 1
        chosen = [(q, *self._choosers[q].choose(row)) for q, row in zip(self.open, logits, strict=True)]
        self._said = [token for _, token, _ in chosen]
        return chosen

    def close(self, question: int) -> None:
        place = self.open.index(question)
        self.open.pop(place)
        self._said.pop(place)
        if self.open:
            self._tails.only([p for p in range(len(self.open) + 1) if p != place])

    def _first(self) -> Tensor:
        hidden = [_read(self.decoder, self._tails, place, text, last=1) for place, text in enumerate(self._texts)]
        return self.decoder.logits(torch.cat(hidden))

    def _next(self) -> Tensor:
        tails = self._tails
        device = self.decoder.device
        x_BD = self.decoder.embed(torch.tensor(self._said, device=device))
        angles = self.decoder.rotary.angles(torch.tensor(tails.positions(), device=device), x_BD.dtype)
        hidden = self.decoder.read(x_BD, angles, StepContext(tails))
        tails.lengths = [length + 1 for length in tails.lengths]
        return self.decoder.logits(hidden)


def _read(decoder: Decoder, tails: Tails, question: int, ids: Sequence[int], last: int | None = None) -> Tensor:
    x_TD = decoder.embed(torch.tensor(ids, device=decoder.device, dtype=torch.long))
    angles = decoder.rotary.run(tails.positions()[question], len(x_TD), x_TD)
    hidden = decoder.read(x_TD, angles, TextContext(tails, question), last=last)
    tails.lengths[question] += len(x_TD)
    return hidden
