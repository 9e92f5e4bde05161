"""How the servers' programs get here, and how their processes are known: all that can be told without a server."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.local import install
from deploy.local.__main__ import main
from deploy.local.kinds import Endpoints, free_ports, residents
from deploy.local.servers import KINDS, Servers

FILES = sorted(path for path in install.HERE.iterdir() if path.is_file())


# --- pins --------------------------------------------------------------------------------------------------------------------


def test_every_artifact_has_one_exact_version() -> None:
    versions = [found.text for found in ElementTree.parse(install.POM).iter("version")]

    assert len(versions) == 6  # the pom's own, four dependencies', the plugin's
    assert [version for version in versions if not re.fullmatch(r"\d+\.\d+\.\d+|\$\{project\.version\}", str(version))] == []
    assert re.fullmatch(r"[0-9a-f]{64}", install.KAFKA_SHA256)
    assert re.fullmatch(r".+@v\d+\.\d+\.\d+-\d{14}-[0-9a-f]{12}", install.MINIO)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_a_host_to_download_from(path: Path) -> None:
    assert re.findall(r"https?://(?!127\.0\.0\.1)[\w.-]+|<(?:url|repository|mirror)>|GOPROXY|GOSUMDB", path.read_text("utf-8")) == []


# --- installed whole or not at all ---------------------------------------------------------------------------------------------


def test_a_folder_is_filled_once_for_a_pin(tmp_path: Path) -> None:
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(folder.name)
        (folder / "program").write_text(f"made {len(made)}", "utf-8")

    homes = [install.installed(tmp_path / "server", pin, "a moment", make) for pin in ("1.0", "1.0", "1.1")]

    assert homes == [tmp_path / "server"] * 3
    assert len(made) == 2
    assert (homes[0] / "program").read_text("utf-8") == "made 2"


def test_an_install_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "program").write_text("half", "utf-8")
        raise install.NotInstalled("the network is away")

    home = install.installed(tmp_path / "server", "1.0", "a moment", lambda folder: (folder / "program").touch())
    with pytest.raises(install.NotInstalled, match="network"):
        install.installed(home, "1.1", "a moment", fail)

    assert (home / "pin").read_text("utf-8") == "1.0"
    assert (home / "program").read_text("utf-8") == ""


def test_leftovers_of_an_install_that_was_killed_go_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "server.partial-killed").mkdir()

    install.installed(tmp_path / "server", "1.0", "a moment", lambda folder: None)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "server"]


def test_two_that_need_the_same_program_install_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    with ThreadPoolExecutor(4) as pool:
        homes = list(pool.map(lambda _: install.installed(tmp_path / "server", "1.0", "a moment", made.append), range(4)))

    assert len(set(homes)) == len(made) == 1


def test_a_missing_program_is_named_with_the_package_that_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither the program nor apt-get

    with pytest.raises(install.NotInstalled, match=r"java is not installed.*apt-get install default-jre-headless"):
        install.program("java", "default-jre-headless")


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("openjdk 17.0.15 2025-04-15", (17, 0)),
        ("go version go1.24.8 linux/amd64", (1, 24)),
        ("openjdk 21 2023-09-19", (21, 0)),
        ("", (0, 0)),
    ],
)
def test_a_version_is_the_first_number_that_a_program_tells(tmp_path: Path, told: str, version: tuple[int, int]) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{told}'\n", "utf-8")
    program.chmod(0o755)

    assert install.version_of(str(program), "--version") == version


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(install.NotInstalled, match=r"ended with 3.*\nno space left"):
        install.run(["sh", "-c", "echo no space left; exit 3"])


# --- processes and ports -------------------------------------------------------------------------------------------------------


def test_a_process_is_known_by_its_folder_and_its_name_until_it_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    assert residents(tmp_path, "sleep") == {process.pid}
    assert residents(tmp_path, "postgres") == set()
    assert residents(tmp_path.parent, "sleep") == set()

    process.kill()
    while residents(tmp_path, "sleep"):
        pass

    assert Path(f"/proc/{process.pid}").exists()  # a zombie: nobody has asked for its end
    process.wait()


def test_a_number_that_belongs_to_another_process_by_now_is_no_server(tmp_path: Path) -> None:
    servers = Servers(tmp_path / "data")
    known = json.loads(servers.document.read_text("utf-8"))
    with subprocess.Popen(["sleep", "60"]) as other:
        servers.document.write_text(json.dumps({**known, "pids": dict.fromkeys(KINDS, other.pid)}), "utf-8")

        assert servers.describe()["pids"] == {}
        servers.stop()
        assert other.poll() is None
        other.kill()


def test_ports_are_free_different_and_never_a_clients() -> None:
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])

    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert max(ports) < first_of_clients


# --- what is known of a folder ---------------------------------------------------------------------------------------------------


def test_addresses_and_credentials_are_chosen_once_for_a_folder(tmp_path: Path) -> None:
    first, again, other = Servers(tmp_path / "a"), Servers(tmp_path / "a"), Servers(tmp_path / "b")

    assert first.endpoints == again.endpoints
    assert first.s3_secret_key != other.s3_secret_key
    assert first.database != other.database
    assert first.document.stat().st_mode & 0o777 == 0o600


def test_secrets_are_long_random_and_not_in_a_repr() -> None:
    endpoints = Endpoints.chosen()
    password = endpoints.database.split(":")[2].partition("@")[0]

    assert len(endpoints.s3_secret_key) >= 40
    assert len(password) >= 32
    assert endpoints.s3_secret_key not in repr(endpoints)
    assert password not in repr(endpoints)


def test_status_of_a_folder_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--data", str(tmp_path)]) == 4
    assert main(["stop", "--data", str(tmp_path)]) == 0

    assert capsys.readouterr().out.count("does not run") == 3
