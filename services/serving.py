"""`longtake serve` and `longtake work`: the stages in Ray Serve, or in this process alone, until told to stop."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from pipelines.interfaces import ServiceUnavailable, WrongRequest
from services.logs import log_to_stderr
from services.settings import Settings
from services.stages import STAGES

logger = logging.getLogger(__name__)
DEFAULT_CONFIG = Path(__file__).with_name("serve.yaml")
START_TRIES = 3
READY_S = 300.0  # for all replicas to open their models


def work(names: Sequence[str]) -> None:
    """Run stages in this process until SIGTERM or Ctrl-C. Raises WrongRequest, StoreUnavailable, BrokerUnavailable."""
    from services.working import Working, work_until_told

    unknown = sorted(set(names) - set(STAGES))
    if unknown:
        raise WrongRequest(f"no stage is called {', '.join(unknown)}; there are {', '.join(STAGES)}")
    log_to_stderr()
    work_until_told(Working(Settings.from_env(), names or STAGES))


def serve(config: Path | None, address: str = "") -> None:
    """Deploy a Serve config and stay until SIGTERM or Ctrl-C. address: of a Ray cluster; one is started here where it is empty."""
    told = _read(config or DEFAULT_CONFIG)
    Settings.from_env()  # or WrongRequest, before anything is started
    log_to_stderr()
    stop = _stopping()
    _prepare(address)
    import ray
    from ray.serve._private.api import serve_start
    from ray.serve.config import ProxyLocation
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_validate(told)
    _connect(address)
    try:
        # What `serve run FILE` does, whose command line cannot start a cluster without its dashboard.
        client = serve_start(http_options=schema.http_options.model_dump(), proxy_location=ProxyLocation(schema.proxy_location))
        client.deploy_apps(schema)
        _wait(stop, [application.name for application in schema.applications])
        while not stop.wait(5.0):
            _tell()
    finally:
        from ray import serve as ray_serve

        ray_serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def _prepare(address: str) -> None:
    """Ray reads its environment when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")
    if not address:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # nobody else on this machine submits work to this cluster
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # of this run; Ray's own would lie in the home folder for ever


def _connect(address: str) -> None:
    if not address:
        start_ray()
        return
    import ray

    ray.init(address=address, namespace="serve")


def start_ray(cpus: int | None = None) -> None:
    """A cluster of this machine alone, without a dashboard. Raises ServiceUnavailable.

    Ray gives its own parts half a minute to come up, on a crowded machine not enough: so it is tried again.
    """
    import ray

    folder = Path(tempfile.gettempdir()) / f"longtake-ray-{os.getuid()}"
    options: dict[str, Any] = {"num_cpus": cpus, "namespace": "serve", "include_dashboard": False, "_temp_dir": str(folder)}
    for left in reversed(range(START_TRIES)):
        try:
            ray.init(**options, logging_level=logging.WARNING)
            return
        except Exception as error:  # Ray raises this very type
            ray.shutdown()
            logger.warning("Ray did not start tries_left=%d reason=%s", left, error)
            if not left:
                raise ServiceUnavailable(f"Ray could not be started on this machine: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        told = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise WrongRequest(f"{path} cannot be read as a Serve config: {error}") from error
    if not isinstance(told, dict) or not told.get("applications"):
        raise WrongRequest(f"{path} names no applications; see {DEFAULT_CONFIG}")
    return told


def _stopping() -> threading.Event:
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stop


def _wait(stop: threading.Event, names: list[str]) -> None:
    from ray import serve as ray_serve

    deadline = time.monotonic() + READY_S
    while not stop.wait(0.5):
        applications = ray_serve.status().applications
        states = {name: applications[name].status.value for name in names if name in applications}
        if broken := [name for name, state in states.items() if state in ("DEPLOY_FAILED", "UNHEALTHY")]:
            raise ServiceUnavailable(f"{broken[0]} could not be deployed: {applications[broken[0]].message}")
        if len(states) == len(names) and set(states.values()) == {"RUNNING"}:
            logger.info("serving applications=%s", ",".join(names))
            return
        if time.monotonic() > deadline:
            raise ServiceUnavailable(f"the deployments were not ready within {READY_S:.0f} s: {states}")


def _tell() -> None:
    from ray import serve as ray_serve

    for name, application in ray_serve.status().applications.items():
        if application.status.value != "RUNNING":
            logger.warning("application name=%s status=%s message=%s", name, application.status.value, application.message)
