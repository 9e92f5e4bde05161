"""`longtake watch`, `ask` and `plan`. Parses and calls; imports what a command needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.answering import JsonOption, StoreOption, answers

if TYPE_CHECKING:
    from pipelines.viewing import Sampling
    from services.watching import WatchOrder

asking = typer.Typer(rich_markup_mode=None)

SystemOption = Annotated[str, typer.Option(metavar="NAME", help="Which published system: video-xl.")]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|NAME",
        envvar="LONGTAKE_VIDEO_XL",
        help="Its weights: a folder in the authors' format, or a name on the model hub, owner/name[@revision][:folder].",
    ),
]
RatioOption = Annotated[
    str, typer.Option(metavar="RATIO", help="Visual tokens a summary token stands for: 16; 8,8,16 a window each; random:2,4,8 drawn.")
]
FpsOption = Annotated[float | None, typer.Option(metavar="RATE", help="Pictures a second. Default: 1.", show_default=False)]
FramesOption = Annotated[int | None, typer.Option(metavar="N", help="Pictures in all, spread evenly, in place of --fps.")]
DeviceOption = Annotated[str, typer.Option(metavar="NAME", help="What torch computes on: cpu, cuda, cuda:1.")]
DtypeOption = Annotated[str, typer.Option(metavar="TYPE", help="float32, bfloat16 or float16. Default: float32 on a cpu, else bfloat16.")]
EncoderOption = Annotated[str, typer.Option(metavar="torch|FILE", help="What sees the pictures: torch, or a graph by `models export`.")]
ProvidersOption = Annotated[
    list[str] | None, typer.Option("--provider", metavar="NAME", help="What such a graph computes on: cpu, cuda or tensorrt; repeatable.")
]
BeyondOption = Annotated[bool, typer.Option("--beyond", help="Watch although the memory will not fit the model's context.")]
LookBackOption = Annotated[
    int | None, typer.Option("--look-back", min=0, metavar="N", help="A window sees only the N before it: for films beyond the context.")
]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Decoding processes. Default: 1.", show_default=False)]


@asking.command(
    short_help="Watch a film once into a memory.", epilog="Example: longtake watch film.mkv --checkpoint DIR --memory film.safetensors"
)
@answers
def watch(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A media file.", show_default=False, readable=False)],
    memory: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the memory here too (.safetensors), to be shipped.")] = None,
    bits: Annotated[int | None, typer.Option(metavar="8|4", help="Write FILE in so few bits a number; it tells what that loses.")] = None,
    ratio: RatioOption = "16",
    fps: FpsOption = None,
    frames: FramesOption = None,
    system: SystemOption = "video-xl",
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "",
    encoder: EncoderOption = "torch",
    providers: ProvidersOption = None,
    workers: WorkersOption = None,
    beyond: BeyondOption = False,
    look_back: LookBackOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Watch VIDEO once: every window of it is folded into a few summary tokens, and what is left is its memory.

    The memory is kept in the store under the video's bytes and all settings, so that `longtake ask VIDEO` finds it again. Stopped
    half-way, the same command goes on behind the last window that was kept.
    """
    from services.watching import watch_to_file

    order = _order(ratio, fps, frames, system, checkpoint, device, dtype, encoder, providers, workers, beyond, store, look_back)
    watch_to_file(video, order, memory, bits, as_json=json)


@asking.command(
    short_help="Ask a film, or its memory, in words.",
    epilog="Examples: longtake ask film.safetensors 'Who is the guest?' --checkpoint DIR · longtake ask film.mkv 'What is sold?' --json",
)
@answers
def ask(
    target: Annotated[Path, typer.Argument(metavar="FILE|VIDEO", help="A memory written by `watch`, or a media file.", readable=False)],
    questions: Annotated[list[str], typer.Argument(metavar="QUESTION...", help="Several are answered together, each as if alone.")],
    retrieve: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Look at the N windows that fit a question best, not at the whole memory.")
    ] = None,
    begin: Annotated[str, typer.Option(metavar="TEXT", help="How the answer must begin.")] = "",
    most_tokens: Annotated[int, typer.Option("--max-tokens", min=1, max=32_768, metavar="N", help="Length of an answer at most.")] = 512,
    temperature: Annotated[float, typer.Option(min=0.0, max=10.0, help="0: always the likeliest word.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.001, max=1.0, help="Draw only from the likeliest words that hold this share.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed, another draw; without temperature it changes nothing.")] = 0,
    penalty: Annotated[float, typer.Option("--repetition-penalty", min=0.1, max=10.0, help="Above 1: repeat less.")] = 1.0,
    ratio: RatioOption = "16",
    fps: FpsOption = None,
    frames: FramesOption = None,
    system: SystemOption = "video-xl",
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "",
    encoder: EncoderOption = "torch",
    providers: ProvidersOption = None,
    workers: WorkersOption = None,
    beyond: BeyondOption = False,
    look_back: LookBackOption = None,
    so_far: Annotated[bool, typer.Option("--so-far", help="Answer from what was watched up to now, while `watch` goes on.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Answer QUESTIONs about a film from its memory; words come as they are made.

    A VIDEO that was not watched with these settings yet is watched first, once. A memory's FILE needs no video any more. With --retrieve
    memories beyond the model's context can be asked, and each answer says which seconds it looked at.
    """
    from services.asking import AskOrder
    from services.asking import ask as asked

    order = _order(ratio, fps, frames, system, checkpoint, device, dtype, encoder, providers, workers, beyond, store, look_back, so_far)
    asked(AskOrder(target, tuple(questions), begin, most_tokens, temperature, top_p, seed, penalty, retrieve), order, as_json=json)


@asking.command(short_help="Say what watching would take.", epilog="Example: longtake plan --duration 7200 --ratio 8")
@answers
def plan(
    video: Annotated[Path | None, typer.Argument(metavar="[VIDEO]", help="A media file.", show_default=False, readable=False)] = None,
    duration: Annotated[float | None, typer.Option(min=0.0, metavar="SECONDS", help="In place of VIDEO: how long one would be.")] = None,
    ratio: RatioOption = "16",
    fps: FpsOption = None,
    frames: FramesOption = None,
    checkpoint: CheckpointOption = None,
    json: JsonOption = False,
) -> None:
    """Say how many tokens VIDEO makes, what memory they take, whether they fit, and which setting does; nothing is decoded.

    Counted for --checkpoint where that is given, else for the released Video-XL (7B).
    """
    from services.planning import show_plan

    show_plan(video, duration, _sampling(fps, frames), ratio, checkpoint, as_json=json)


def _sampling(fps: float | None, frames: int | None) -> Sampling:
    from pipelines.viewing import Sampling

    return Sampling(rate_hz=1.0 if fps is None and frames is None else fps, count=frames)


def _order(
    ratio: str, fps: float | None, frames: int | None, system: str, checkpoint: str | None, device: str, dtype: str, encoder: str,
    providers: list[str] | None, workers: int | None, beyond: bool, store: str | None, look_back: int | None, so_far: bool = False,
) -> WatchOrder:  # fmt: skip
    from services.systems import SystemChoice
    from services.watching import WatchOrder

    choice = SystemChoice(system, checkpoint, device, dtype, encoder, tuple(providers or ("cpu",)))
    return WatchOrder(choice, _sampling(fps, frames), ratio, store, workers, beyond, look_back, so_far)
