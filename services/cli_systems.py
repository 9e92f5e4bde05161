"""Commands about the published systems' checkpoints. Parses and calls; imports what a command needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.answering import JsonOption, answers

models = typer.Typer(
    help="Trained models: those that come inside packages, and checkpoints of the published systems.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SystemOption = Annotated[str, typer.Option("--system", metavar="NAME", help="The published system that it is of: video-xl.")]


@models.command(
    short_help="Say what a checkpoint holds and lacks.", epilog="Example: longtake models check VideoXL_weight_8 --system video-xl"
)
@answers
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with config.json and the weights.", show_default=False)],
    system: SystemOption = "video-xl",
    json: JsonOption = False,
) -> int:
    """Say what a checkpoint holds, and what is missing, unknown or of another shape, without loading it. Exit code 3 where it cannot be."""
    from services.checkpoints import check_checkpoint

    return check_checkpoint(folder, system, as_json=json)


@models.command(
    short_help="Write a system's visual encoder as an ONNX graph.",
    epilog="Example: longtake models export --checkpoint VideoXL_weight_8 --out clip.onnx --half",
)
@answers
def export(
    checkpoint: Annotated[str, typer.Option(metavar="DIR|NAME", help="A checkpoint's folder, or its name on the model hub.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The graph to write; weights over 1.9 GB go into FILE.data.")],
    system: SystemOption = "video-xl",
    half: Annotated[bool, typer.Option("--half", help="Compute in float16: half the size, for GPUs.")] = False,
    fused: Annotated[bool, typer.Option("--fused", help="Whole layers as ONNX Runtime's own operators, for GPUs.")] = False,
) -> None:
    """Write what a system sees with (tower, projector, pooling) as one ONNX graph, compared with torch before it is kept."""
    from services.checkpoints import export_encoder

    export_encoder(checkpoint, out, system, half=half, fused=fused)
