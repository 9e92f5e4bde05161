"""Nets in ONNX Runtime: one session, the providers that a setting names, never others in silence. Knows no video."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}


class ProviderUnavailable(Exception):
    """The machine or the installed ONNX Runtime has not what a setting names."""


class OnnxNet:
    """A graph ready to run. providers: names of PROVIDERS, the first the one to compute on; threads: of a CPU, all cores where None."""

    def __init__(self, graph: Path, providers: Sequence[str] = ("cpu",), threads: int | None = None) -> None:
        import onnxruntime as ort

        unknown = [name for name in providers if name not in PROVIDERS]
        if unknown or not providers:
            raise ProviderUnavailable(f"no provider is called {', '.join(unknown) or '(nothing)'}; there are {', '.join(PROVIDERS)}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        # Threads that wait in circles for the next batch take the cores that decoding needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # else what the largest batch took is held while others read and judge
        options.log_severity_level = 3
        asked = [PROVIDERS[name] for name in dict.fromkeys(providers)]
        lacking = [p for p in asked if p not in ort.get_available_providers()]
        session = None if lacking else ort.InferenceSession(str(graph), options, providers=asked)
        # A provider whose libraries cannot be loaded leaves the session with the CPU alone, and says so only in a log.
        if session is None or session.get_providers()[0] != asked[0]:
            raise ProviderUnavailable(
                f"ONNX Runtime {ort.__version__} cannot compute on {', '.join(providers)} here; "
                f"it offers {', '.join(n for n, p in PROVIDERS.items() if p in ort.get_available_providers())}, and cpu always works"
            )
        self.session = session

    def __call__(self, outputs: Sequence[str], **inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The named outputs for these inputs; what is not named is not computed."""
        found: list[NDArray[np.float32]] = self.session.run(list(outputs), inputs)
        return found
