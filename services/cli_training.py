"""`longtake train`. Parses and calls; imports what the command needs only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.answering import JsonOption, answers

training = typer.Typer(rich_markup_mode=None)


@training.command(
    short_help="Train a Video-XL checkpoint, all of it or by LoRA.",
    epilog="Example: longtake train --stage full --checkpoint DIR --data talks.json --media films --out run. On several GPUs: accelerate "
    "launch --config_file deploy/training/fsdp.yaml -m services.cli train ...",
)
@answers
def train(
    stage: Annotated[str, typer.Option(metavar="NAME", help="projector, images or full, as the authors trained.")],
    checkpoint: Annotated[Path, typer.Option(metavar="DIR", help="The checkpoint to begin with, in the authors' format.")],
    data: Annotated[Path, typer.Option(metavar="FILE", help="Conversations as LLaVA writes them: a JSON list, or one a line.")],
    media: Annotated[Path, typer.Option(metavar="DIR", help="Where the pictures and videos lie that FILE names.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where state, losses, and in the end the checkpoint go.")],
    lora: Annotated[int, typer.Option(min=0, metavar="RANK", help="Train narrow layers beside the decoder's; 0 trains the weights.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Default: all epochs of the stage.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="Default: the stage's.", show_default=False)] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda. Default: what is there.", show_default=False)] = "",
    seed: Annotated[int, typer.Option(help="Of order, ratios and LoRA's beginnings.")] = 0,
    save_every: Annotated[int, typer.Option(min=1, metavar="N", help="Steps between two saved states.")] = 500,
    hold: Annotated[
        bool, typer.Option("--hold", help="Hold activations instead of computing them twice: faster, far more memory.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last saved state in --out.")] = False,
    json: JsonOption = False,
) -> None:
    """Train a checkpoint by one stage of the authors' recipe: the projector alone, on images, or everything with random ratios.

    Examples that cannot be read are named and counted. A stopped run goes on with --resume, and ends with the same weights.
    """
    from services.training import TrainingOrder
    from services.training import train as run

    order = TrainingOrder(
        stage=stage, checkpoint=checkpoint, data=data, media=media, out=out, steps=steps, lora_rank=lora, learning_rate=learning_rate,
        device=device, seed=seed, save_every=save_every, recompute=not hold, resume=resume,
    )  # fmt: skip
    run(order, as_json=json)


@training.command(
    short_help="Join Qwen2 and CLIP into a checkpoint to train.",
    epilog="Example: longtake begin --language Qwen2-7B-Instruct --tower clip-vit-large-patch14-336 --out start",
)
@answers
def begin(
    language: Annotated[Path, typer.Option(metavar="DIR", help="A Qwen2's folder.")],
    tower: Annotated[Path, typer.Option(metavar="DIR", help="A CLIP's folder.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the checkpoint goes; it must not exist yet.")],
    seed: Annotated[int, typer.Option(help="Of the projector, which begins random.")] = 0,
) -> None:
    """Make a Video-XL checkpoint that has learned nothing yet, for `longtake train --stage projector`: summary tokens begin as copies."""
    from services.training import begin as run

    run(language, tower, out, seed)
