"""How fast Video-XL watches and answers, and what memory it takes, beside the same computation written plainly.

    python -m benchmarks.video_xl                                   # CPU, tiny but wide: 40,000 visual tokens at ratio 16
    python -m benchmarks.video_xl --tokens 1440 --repeats 1         # the same script at its smallest
    python -m benchmarks.video_xl --frames 80 --repeats 1           # from pixels on: encoder and decoder
    python -m benchmarks.video_xl --film film.mp4                   # from the file on, beside the same pictures already decoded
    python -m benchmarks.video_xl --size 7b --device cuda --dtype bfloat16 --frames 2048   # a GPU, random weights, encoder included

Each round runs in a process of its own, so that peaks are its own; the ways take turns, and medians are told. "plain" has every layer
compute every row and concatenates, rotates and repeats the whole memory for each window (`benchmarks.plain_video_xl`).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine
from benchmarks.plain_video_xl import watch_plainly
from model.compression.summary_tokens import Ratios
from model.encoders.clip import ClipEncoder
from model.language.config import DecoderConfig
from model.language.decoder import Decoder
from model.language.generate import Generation
from model.systems.video_xl import VideoXL
from model.systems.video_xl_config import SummaryConfig, VideoXLConfig, VisionConfig, released_7b
from model.systems.video_xl_folder import DTYPES
from model.video import Frames
from pipelines.viewing import Sampling, view

WIDE = VideoXLConfig(
    decoder=DecoderConfig(vocab_size=1000, hidden_size=256, intermediate_size=704, layers=4, heads=4, kv_heads=2, head_dim=64, eos_id=1),
    summary=SummaryConfig(window=1440),
    vision=VisionConfig(hidden_size=64, intermediate_size=128, layers=3, heads=4, image_px=336, patch_px=28, projected_size=256),
)
SIZES = {"wide": WIDE, "7b": released_7b()}
PROMPT, QUESTION = list(range(14)), list(range(20, 60))
MARKS = (10_000, 20_000, 40_000)


def system(arguments: argparse.Namespace) -> VideoXL:
    """Random weights: what is computed costs the same as with trained ones."""
    torch.manual_seed(0)
    config = SIZES[arguments.size]
    with torch.device(arguments.device):
        torch.set_default_dtype(DTYPES[arguments.dtype])
        decoder = Decoder(config.decoder).eval()
        torch.set_default_dtype(torch.float32)
    return VideoXL(config, decoder)


def done(device: str) -> float:
    """The time when all that was asked of the device is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def ours(arguments: argparse.Namespace) -> dict[str, Any]:
    net = system(arguments)
    visual = features(net, arguments.tokens)
    watching = net.watch(PROMPT, Ratios((arguments.ratio,)))
    began, at = done(arguments.device), {}
    for portion in visual.split(net.config.summary.window):
        watching.add(portion)
        if mark := next((m for m in MARKS if m <= watching.visual_tokens and m not in at), None):
            at[mark] = watching.visual_tokens / (done(arguments.device) - began)
    memory = watching.finish()
    watched_s = done(arguments.device) - began
    return {"watched_s": watched_s, "at": at} | asked(net, memory, arguments.device)


def asked(net: VideoXL, memory: Any, device: str) -> dict[str, float]:
    """Seconds until the first token of the first and of a later question, and tokens a second after it."""
    options = Generation(max_new_tokens=64, stop_ids=frozenset())
    found: dict[str, float] = {}
    for name in ("first", "second"):
        began = done(device)
        answer = net.answer(memory, [QUESTION], options)
        next(answer)
        found[f"{name}_token_s"] = done(device) - began
        rest = sum(1 for _ in answer)
        found[f"{name}_answer_s"] = done(device) - began
    rate = rest / (found["second_answer_s"] - found["second_token_s"])
    found["peak_mib"] = peak_mib(device)  # before the copies below
    return found | {"tokens_per_s": rate, "tokens_per_s_limit": limit(net, memory, device), "memory_mib": size_mib(memory)}


def limit(net: VideoXL, memory: Any, device: str) -> float:
    """Tokens a second if reading every weight and the whole memory once a token were all there is to do, at the rate of a large copy."""
    block = torch.empty(1 << 26, device=device)  # 256 MiB
    block.clone()
    began = done(device)
    for _ in range(4):
        block.clone()
    bytes_per_s = 8 * block.nbytes / (done(device) - began)  # read and written
    read = sum(p.nbytes for name, p in net.decoder.named_parameters() if "summary" not in name and not name.startswith("embed"))
    return float(bytes_per_s / (read + size_mib(memory) * 2**20))


def size_mib(memory: Any) -> float:
    return float(sum(block.size_bytes for block in (memory.sink, *memory.blocks)) / 2**20)


def plain(arguments: argparse.Namespace) -> dict[str, Any]:
    net, at = system(arguments), {}
    visual = features(net, arguments.tokens)
    for mark in (*(m for m in MARKS if m < arguments.tokens), arguments.tokens):  # no windows in between to look at the clock
        began = time.perf_counter()
        watch_plainly(net.decoder, PROMPT, visual[:mark], net.config.summary.window, arguments.ratio)
        watched_s = time.perf_counter() - began
        at[mark] = mark / watched_s
    return {"watched_s": watched_s, "at": at}


def whole(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pictures to memory: random frames through tower, projector and pooling, then the decoder, window by window."""
    net = system(arguments)
    with torch.device(arguments.device):
        encoder = ClipEncoder(net.config.vision).to(DTYPES[arguments.dtype]).eval()
    side = encoder.size_px
    frames = torch.randint(0, 256, (40, side, side, 3), dtype=torch.uint8)
    if arguments.device.startswith("cuda"):
        frames = frames.pin_memory()  # so that copying overlaps computing
    watching = net.watch(PROMPT, Ratios((arguments.ratio,)), visual_tokens=arguments.frames * encoder.tokens_per_frame)
    began = done(arguments.device)
    for k in range(0, arguments.frames, len(frames)):
        watching.add(encoder.encode(frames[: arguments.frames - k]).flatten(0, 1))
    memory = watching.finish()
    watched_s = done(arguments.device) - began
    return {"watched_s": watched_s, "frames_per_s": arguments.frames / watched_s} | asked(net, memory, arguments.device)


def filmed(arguments: argparse.Namespace) -> dict[str, Any]:
    """From the file on, one picture a second, and the same pictures decoded beforehand."""
    net = system(arguments)
    with torch.device(arguments.device):
        encoder = ClipEncoder(net.config.vision).to(DTYPES[arguments.dtype]).eval()

    def watch(pictures: Iterable[Frames]) -> tuple[float, int]:
        watching, began = net.watch(PROMPT, Ratios((arguments.ratio,))), done(arguments.device)
        frames = 0
        for part in pictures:
            frames += len(part)
            watching.add(encoder.encode(part.pixels).flatten(0, 1))
        watching.finish()
        return done(arguments.device) - began, frames

    viewing = view(arguments.film, Sampling(rate_hz=1.0), encoder.size_px)
    began = time.perf_counter()
    ready = list(viewing.pictures(workers=arguments.workers))
    decoded_s = time.perf_counter() - began
    (watched_s, frames), (ready_s, _) = watch(viewing.pictures(workers=arguments.workers)), watch(ready)
    return {
        "watched_s": watched_s,
        "frames": frames,
        "decoded_alone_s": decoded_s,
        "ready_s": ready_s,
        "over_longer": watched_s / max(decoded_s, ready_s),
    }


def features(net: VideoXL, tokens: int) -> torch.Tensor:
    made = torch.randn(tokens, net.config.decoder.hidden_size, generator=torch.Generator().manual_seed(1))
    return made.to(device=net.decoder.device, dtype=net.decoder.dtype)


WAYS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"ours": ours, "plain": plain, "whole": whole, "filmed": filmed}


def one_round(way: str) -> dict[str, Any]:
    """A round in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.video_xl", *sys.argv[1:], "--way", way]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def peak_mib(device: str) -> float:
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated() / 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(arguments: argparse.Namespace) -> None:
    print(f"{machine()}; torch {torch.__version__}, {arguments.threads} threads, {arguments.device}, {arguments.dtype}")
    ways = ["filmed"] if arguments.film else ["whole"] if arguments.frames else ["ours", "plain"] if arguments.device == "cpu" else ["ours"]
    rounds = [{way: one_round(way) for way in ways} for _ in range(arguments.repeats)]
    for way in ways:
        found = {key: statistics.median(r[way][key] for r in rounds) for key in rounds[0][way] if key != "at"}
        print(f"{way:6} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()))
        for mark in rounds[0][way].get("at", {}):
            print(f"{way:6} {int(mark):>7,} tokens: {statistics.median(r[way]['at'][mark] for r in rounds):,.0f} tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="wide")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--tokens", type=int, default=40_000, help="visual tokens to watch")
    parser.add_argument("--frames", type=int, default=0, help="watch this many frames from their pixels on, instead of ready visual tokens")
    parser.add_argument("--film", type=Path, help="watch this file at 1 fps")
    parser.add_argument("--workers", type=int, default=1, help="decoding processes")
    parser.add_argument("--ratio", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not arguments.way:
        return tell(arguments)
    before = peak_mib(arguments.device)
    found = WAYS[arguments.way](arguments)
    return print(json.dumps({"peak_mib": peak_mib(arguments.device), "before_mib": before} | found))


if __name__ == "__main__":
    main()
