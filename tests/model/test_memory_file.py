"""Memories as bytes: what comes back, what is refused, and what few bits cost."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file, save_file  # noqa: E402

from model.compression.few_bits import Coded  # noqa: E402
from model.compression.summary_tokens import Ratios  # noqa: E402
from model.language.generate import Generation  # noqa: E402
from model.language.kv_memory import Block  # noqa: E402
from model.language.retrieval import mean_keys  # noqa: E402
from model.systems.manifest import MemoryMismatch, UnreadableMemory  # noqa: E402
from model.systems.memory_file import TOLD, MemoryFile, load_memory, measure_loss, pack_block, save_memory, unpack_block  # noqa: E402
from model.systems.video_xl import Memory  # noqa: E402
from tests.goldens.folders import CaseFolder  # noqa: E402
from tests.goldens.systems import video_xl_of  # noqa: E402
from tests.model.memories import answers, film, manifest_of, same, tiny, watched  # noqa: E402

QUESTIONS = [[7, 8], [9, 10, 11], [12], list(range(20, 40))]
EIGHT = Generation(max_new_tokens=8, stop_ids=frozenset())
GOLDEN = Path(__file__).parents[1] / "goldens" / "videoxl" / "beacon_llm"


@pytest.fixture(scope="module")
def system():
    return tiny()


@pytest.fixture(scope="module")
def tokens():
    return film(73)  # 7 windows and 12 tokens


@pytest.fixture(scope="module")
def memory(system, tokens):
    return watched(system, tokens)


# --- one file --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_memory_comes_back_to_the_last_bit(dtype, memory, tokens, tmp_path: Path) -> None:
    memory = Memory(_as(memory.sink, dtype), tuple(_as(block, dtype) for block in memory.blocks))

    kept = save_memory(tmp_path / "m", memory, manifest_of(tokens))
    back, manifest = load_memory(tmp_path / "m", manifest_of(tokens).recipe)

    assert same(back, memory)
    assert (manifest.bits, manifest.key_loss, manifest.value_loss) == (kept.bits, 0, 0) == (32 if dtype == torch.float32 else 16, 0, 0)
    assert manifest.times_s.tolist() == list(range(73)) and manifest.recipe == manifest_of(tokens).recipe
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_the_same_memory_makes_the_same_file_and_the_same_answers(system, memory, tokens, tmp_path: Path) -> None:
    save_memory(tmp_path / "a", memory, manifest_of(tokens))
    back, manifest = load_memory(tmp_path / "a")
    save_memory(tmp_path / "b", back, manifest)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert answers(system, back, QUESTIONS) == answers(system, memory, QUESTIONS)


def test_a_block_and_the_mean_keys_are_read_alone(memory, tokens, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", memory, manifest_of(tokens))

    file = MemoryFile(tmp_path / "m")

    assert len(file) == len(memory.blocks) == 8
    assert same(Memory(file.sink(), (file.block(5), file.block(-1))), Memory(memory.sink, (memory.blocks[5], memory.blocks[7])))
    assert torch.equal(file.mean_keys(), mean_keys(memory.blocks))


def test_blocks_that_kept_nothing_and_no_blocks_at_all_are_memories_too(system, tmp_path: Path) -> None:
    for frames, rows in ((0, []), (1, [0]), (11, [1, 0])):
        tokens = film(frames)
        memory = watched(system, tokens, "32")
        assert [len(b) for b in memory.blocks] == rows
        for bits in (None, 8, 4):
            save_memory(tmp_path / "m", memory, manifest_of(tokens, "32"), bits)

            assert [len(b) for b in load_memory(tmp_path / "m")[0].blocks] == rows
    assert MemoryFile(tmp_path / "m").mean_keys()[1].abs().max() == 0


def test_a_memory_of_a_gap_is_not_written(memory, tokens, tmp_path: Path) -> None:
    holed = Memory(memory.sink, memory.blocks[:2] + memory.blocks[3:])
    with pytest.raises(ValueError, match="do not follow"):
        save_memory(tmp_path / "m", holed, manifest_of(tokens))
    with pytest.raises(ValueError, match="80 visual tokens, its manifest tells of 73 frames of 4 watched to the end"):
        save_memory(tmp_path / "m", Memory(memory.sink, memory.blocks[:2]), manifest_of(tokens))
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(memory, tokens, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", memory, manifest_of(tokens))
    before = (tmp_path / "m").read_bytes()

    with pytest.raises(ValueError):
        save_memory(tmp_path / "m", memory, manifest_of(tokens, window=80))

    assert (tmp_path / "m").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


# --- refusals --------------------------------------------------------------------------------------------------------------


def test_a_memory_made_otherwise_is_refused_with_the_reason(memory, tokens, tmp_path: Path) -> None:
    made = manifest_of(tokens)
    save_memory(tmp_path / "m", memory, made)

    with pytest.raises(
        MemoryMismatch, match=r"it was made with 1 fps, 2 fps was asked; it was made with other weights \(random, else"
    ) as found:
        load_memory(tmp_path / "m", replace(made.recipe, sampling="2 fps", weights="else"))
    assert len(found.value.differences) == 2


def test_every_cut_and_every_flipped_bit_is_noticed(memory, tokens, tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_memory(path, memory, manifest_of(tokens))
    whole = path.read_bytes()
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableMemory, match="m is damaged or no memory of a video"):
            load_memory(path)
    for place in range(len(whole) // 50, len(whole), len(whole) // 50):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UnreadableMemory):
            load_memory(path)
            MemoryFile(path).mean_keys()


@pytest.mark.parametrize("what", ["text", "pickle", "weights", "folder", "other version", "a list"])
def test_what_is_no_memory_is_refused_by_a_sentence(what: str, memory, tokens, tmp_path: Path) -> None:
    path = tmp_path / "m"
    if what == "text":
        path.write_text("a film about trees")
    elif what == "pickle":
        torch.save({"keys": memory.sink.keys}, path)
    elif what == "folder":
        path.mkdir()
    else:
        told = {"other version": '{"manifest": {"recipe": {"format_version": 99}}}', "a list": "[]"}.get(what)
        save_file({"keys": memory.sink.keys}, path, _signed(told) if told else None)

    with pytest.raises(UnreadableMemory, match="version 99" if what == "other version" else "m is damaged or no memory of a video"):
        load_memory(path)


def test_a_file_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_memory(tmp_path / "nowhere")


# --- one block -------------------------------------------------------------------------------------------------------------


def test_a_block_is_packed_with_what_is_told(memory) -> None:
    for block in (memory.sink, *memory.blocks):
        back, told = unpack_block(pack_block(block, {"number": 3}))

        assert same(Memory(back, ()), Memory(block, ())) and told["number"] == 3


def test_a_block_that_is_not_as_it_was_packed_is_refused(memory) -> None:
    data = pack_block(memory.blocks[2], {"number": 2})
    for place in range(0, len(data), 37):
        with pytest.raises(UnreadableMemory):
            unpack_block(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
    for length in (0, 5, 200, len(data) - 1):
        with pytest.raises(UnreadableMemory):
            unpack_block(data[:length])


# --- few bits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "steps"), [(8, 255), (4, 15)])
@pytest.mark.parametrize("tokens", [1, 2, 7, 90])
def test_a_coded_number_is_off_by_half_a_step_of_its_channel_at_most(bits: int, steps: int, tokens: int) -> None:
    x = torch.randn(2, 3, tokens, 5, generator=torch.Generator().manual_seed(tokens)) + 200  # far from 0, as Qwen2's biased keys

    coded = Coded.of(x, bits)

    off = (coded.restored(bits, tokens, x.dtype) - x).abs()
    assert (off <= (x.amax(2, keepdim=True) - x.amin(2, keepdim=True)) / steps / 2 + 2e-5).all()  # 2e-5: rounding at 200
    assert coded.codes.shape == (2, 3, tokens if bits == 8 else (tokens + 1) // 2, 5)


def test_a_channel_that_never_changes_is_kept_exactly() -> None:
    x = torch.full((1, 1, 9, 2), 3.7)

    assert torch.equal(Coded.of(x, 4).restored(4, 9, x.dtype), x)


def test_a_smaller_file_tells_its_loss_and_gives_what_was_measured(memory, tokens, tmp_path: Path) -> None:
    wide = watched(tiny(window=400), film(500), "2")
    sizes, made = {}, manifest_of(film(500), "2", window=400)
    for bits in (None, 8, 4):
        kept = save_memory(tmp_path / "m", wide, made, bits)
        back, manifest = load_memory(tmp_path / "m")
        sizes[bits] = (tmp_path / "m").stat().st_size

        assert (manifest.key_loss, manifest.value_loss) == (kept.key_loss, kept.value_loss)
        assert manifest.key_loss == pytest.approx(_off(back, wide, "keys"), rel=1e-4)
        assert manifest.value_loss == pytest.approx(_off(back, wide, "values"), rel=1e-4)
        assert same(Memory(back.sink, ()), Memory(wide.sink, ()))

    assert 0 < measure_loss(wide, 8).values < 0.01 < measure_loss(wide, 4).values < 0.15
    assert sizes[8] < 0.3 * sizes[None] and sizes[4] < 0.18 * sizes[None]


@pytest.mark.parametrize(("bits", "most"), [(8, 0.005), (4, 0.1)])  # measured: 0.0017 and 0.029, of logits that spread by 3
def test_few_bits_keep_the_authors_answers(bits: int, most: float) -> None:
    case = CaseFolder(GOLDEN, "videoxl")
    system = video_xl_of(case)
    watching = system.watch(case.inputs["prefix_ids"].tolist(), Ratios((2,)))
    watching.add(case.inputs["image_features"])
    memory, text = watching.finish(), case.inputs["suffix_ids"].tolist()
    coarse = Memory(memory.sink, tuple(_through(b, bits) for b in memory.blocks))

    off = (system.text_logits(coarse, text) - system.text_logits(memory, text)).abs().max()

    assert 0 < off < most
    assert answers(system, coarse, [text], EIGHT) == [case.expected["r2.greedy_ids"].tolist()]


def _through(block: Block, bits: int) -> Block:
    keys, values = (Coded.of(x, bits).restored(bits, len(block), x.dtype) for x in (block.keys, block.values))
    return Block(keys, values, block.start, block.end)


def _off(one: Memory, other: Memory, kind: str) -> float:
    """Relative error of all blocks together."""
    a, b = (torch.cat([getattr(block, kind) for block in m.blocks], 2) for m in (one, other))
    return float((a - b).norm() / b.norm())


def _as(block: Block, dtype) -> Block:
    return Block(block.keys.to(dtype), block.values.to(dtype), block.start, block.end)


def _signed(text: str) -> dict[str, str]:
    return {TOLD: f"{sha256(text.encode()).hexdigest()} {text}"}


def test_nothing_but_tensors_and_text_is_in_the_file(memory, tokens, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", memory, manifest_of(tokens))

    names = set(load_file(tmp_path / "m"))

    assert {"sink.keys", "sink.values", "00000.keys", "00007.values", "mean_keys"} <= names and len(names) == 2 * 9 + 1
