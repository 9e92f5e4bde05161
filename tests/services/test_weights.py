"""Where a checkpoint comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.interfaces import WrongRequest
from services.weights import HubName, checkpoint_folder, wanted

FILES = [
    "README.md", "VideoXL_weight_8/config.json", "VideoXL_weight_8/model-00001-of-00002.safetensors", "VideoXL_weight_8/vocab.json",
    "VideoXL_weight_8/model-00002-of-00002.safetensors", "VideoXL_weight_8/merges.txt", "VideoXL_weight_8/training_args.bin",
    "VideoXL_weight_8/old/model.safetensors", "other/config.json", "other/pytorch_model.bin", "other/run.py",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sy1998/Video_XL:VideoXL_weight_8", HubName("sy1998/Video_XL", "main", "VideoXL_weight_8")),
        ("a/b@v2", HubName("a/b", "v2", "")),
        ("a/b@v2:c/d/", HubName("a/b", "v2", "c/d")),
        ("a", None), ("a/b/c", None), ("../b", None), ("a/", None), ("a/b:../../etc", None),
    ],
)  # fmt: skip
def test_names_on_the_hub(text: str, name: HubName | None) -> None:
    assert HubName.parse(text) == name


def test_of_a_repository_only_the_one_checkpoint_is_wanted_in_one_form() -> None:
    assert wanted(FILES, HubName("o/n", "main", "VideoXL_weight_8")) == [FILES[1], FILES[2], FILES[3], FILES[4], FILES[5]]
    assert wanted(FILES, HubName("o/n", "main", "other")) == ["other/config.json", "other/pytorch_model.bin"]


def test_a_repository_without_a_checkpoint_there_says_how_to_name_its_folder() -> None:
    with pytest.raises(WrongRequest, match="owner/name:folder"):
        wanted(FILES, HubName("o/n", "main", ""))


def test_a_folder_is_taken_as_it_is_and_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert checkpoint_folder(str(tmp_path)) == tmp_path
    with pytest.raises(WrongRequest, match="is a file; give the folder"):
        checkpoint_folder(str(tmp_path / "file"))
    with pytest.raises(WrongRequest, match="there is no folder"):
        checkpoint_folder(str(tmp_path / "nowhere"))
