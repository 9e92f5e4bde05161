"""Trained weights put back into a checkpoint folder of the authors' format: shard by shard, everything else as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from model.systems.loading import read_index, read_tensors, weight_files
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows
from model.training.lora import load_adapter

COMPANIONS = (".json", ".txt", ".jinja", ".model")  # configuration and tokenizer
Change = Callable[[str, Tensor], Tensor | None]  # (key, tensor) to the tensor to write, None to leave it out


def rewrite(source: Path, out: Path, change: Change) -> None:
    """Copy a checkpoint folder with other values, in the same types and shards, as safetensors. `out` is there whole or not at all."""
    index, files = read_index(source), weight_files(source)
    draft = out.with_name(f"{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    copy_companions(source, draft)
    placed: dict[str, str] = {}
    total_bytes = 0
    for file in files:
        name = file.with_suffix(".safetensors").name.replace("pytorch_model", "model")
        part = {}
        for key, old in read_tensors(file, [key for key, entry in index.items() if entry.file == file]):
            new = change(key, old)
            if new is not None:
                part[key] = new.to(old.dtype).contiguous().clone()
        save_file(part, draft / name, {"format": "pt"})
        placed |= dict.fromkeys(part, name)
        total_bytes += sum(tensor.nbytes for tensor in part.values())
    if len(files) > 1:
        told = {"metadata": {"total_size": total_bytes}, "weight_map": placed}
        (draft / "model.safetensors.index.json").write_text(json.dumps(told, indent=2), "utf-8")
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)


def write_checkpoint(source: Path, out: Path, state: Mapping[str, Tensor]) -> None:
    """state: {our name: tensor} of the whole system. What our module has no place for is taken over from `source`."""
    config = VideoXLConfig.from_folder(source)
    parameters = {row.key: row.parameter for row in rows(config)}

    def change(key: str, old: Tensor) -> Tensor | None:
        if config.decoder.tied_head and key == "lm_head.weight":
            return None  # would be the head of before
        parameter = parameters[key]
        return state[parameter].cpu() if parameter else old

    rewrite(source, out, change)


def merge_adapter(source: Path, adapter: Path, out: Path) -> None:
    """A checkpoint with what an adapter learned added to its weights. Raises ValueError where the adapter is of another system."""
    learned = load_adapter(adapter)
    if foreign := sorted(learned.keys() - read_index(source).keys()):
        raise ValueError(f"{adapter} does not fit {source}, which has no {foreign[0]}")
    rewrite(source, out, lambda key, old: old.float() + learned[key] if key in learned else old)


def copy_companions(source: Path, out: Path) -> None:
    """Everything beside the weights that a checkpoint needs."""
    for file in source.iterdir():
        if file.suffix in COMPANIONS and not file.name.endswith(".index.json"):
            shutil.copyfile(file, out / file.name)
