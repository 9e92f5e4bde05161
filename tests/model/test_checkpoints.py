"""Tensors come out of torch's files exactly, and nothing else ever does."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from model.checkpoints import MAGIC, UnreadableCheckpoint, read_torch_file


class _Storage:
    def __init__(self, key: str, count: int) -> None:
        self.pid = ("storage", _Global("torch", "FloatStorage"), key, "cpu", count)


class _Global:
    """A bare name."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Call:
    def __init__(self, function: _Global, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


def dumped(thing: object) -> bytes:
    """Protocol 0 pickle of dicts, strings, numbers, tuples, `_Global`, `_Call` and `_Storage`, written out by hand."""
    return _text(thing) + b"."


def _text(thing: object) -> bytes:
    match thing:
        case bool():
            return b"I01\n" if thing else b"I00\n"
        case int():
            return b"L%dL\n" % thing
        case str():
            return b"V" + thing.encode("raw-unicode-escape") + b"\n"
        case tuple():
            return b"(" + b"".join(map(_text, thing)) + b"t"
        case list():
            return b"(" + b"".join(map(_text, thing)) + b"l"
        case dict():
            return b"(" + b"".join(_text(k) + _text(v) for k, v in thing.items()) + b"d"
        case _Global():
            return b"c%s\n%s\n" % (thing.module.encode(), thing.name.encode())
        case _Call():
            return _text(thing.function) + _text(thing.arguments) + b"R"
        case _Storage():
            return _text(thing.pid) + b"Q"
    raise TypeError(thing)


def tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> _Call:
    return _Call(_Global("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, strides, False, {})


VALUES = np.arange(6, dtype="<f4")


def legacy(table: object) -> bytes:
    head = b"".join(dumped(part) for part in (MAGIC, 1001, {"little_endian": True}))
    return head + dumped(table) + dumped(["7"]) + struct.pack("<q", 6) + VALUES.tobytes()


def zipped(table: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", dumped(table))
        archive.writestr("archive/data/7", VALUES.tobytes())
    return out.getvalue()


@pytest.mark.parametrize("form", [legacy, zipped])
def test_a_state_dict_comes_out_as_it_was_saved(form, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    storage = _Storage("7", 6)
    table = {
        "fc.weight": tensor(storage, 0, (2, 3), (3, 1)),
        "turned": tensor(storage, 1, (2, 2), (1, 3)),
        "net": {"b": tensor(storage, 5, (), ())},
    }
    (tmp_path / "weights.pth").write_bytes(form(table))

    found = read_torch_file(tmp_path / "weights.pth")

    assert found["fc.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[1, 4], [2, 5]]
    assert found["net.b"].shape == () and found["net.b"] == 5


@pytest.mark.parametrize("form", [legacy, zipped])
@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"x": _Call(_Global("os", "system"), "touch acted")}, "os.system"),
        ({"x": _Call(_Global("builtins", "eval"), "1")}, "builtins.eval"),
        ({"x": "a text", "y": tensor(_Storage("7", 6), 0, (6,), (1,))}, "x is str, not a tensor"),
        ({"x": tensor(_Storage("7", 6), 4, (3,), (1,))}, "outside its storage"),
        ({"x": tensor(_Storage("7", 6), 0, (2,), (-1,))}, "outside its storage"),
        ({"x": tensor(_Storage("7", 6), 0, (9, 9, 9), (0, 0, 9))}, "outside its storage"),
        ({"x": tensor(_Storage("7", 6), 0, (1 << 40,), (0,))}, "outside its storage"),
    ],
)
def test_what_is_no_table_of_tensors_is_refused(form, table, why, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(form(table))

    with pytest.raises(UnreadableCheckpoint, match=why):
        read_torch_file(tmp_path / "weights.pth")

    assert not (tmp_path / "acted").exists()


@pytest.mark.parametrize("data", [b"", b"not a pickle", legacy({})[:40], zipped({})[:60]])
def test_a_damaged_file_is_told_as_one(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(data)

    with pytest.raises(UnreadableCheckpoint, match=r"weights\.pth"):
        read_torch_file(tmp_path / "weights.pth")


def test_torch_itself_reads_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.arange(12.0).reshape(3, 4).t(), "a.count": torch.tensor(3), "b": torch.ones(2, 2, dtype=torch.float16)}
    for is_zip in (True, False):
        path = tmp_path / f"{is_zip}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=is_zip)

        found = read_torch_file(path)

        assert {name: array.tolist() for name, array in found.items()} == {name: t.tolist() for name, t in state.items()}
        assert found["b"].dtype == np.float16
