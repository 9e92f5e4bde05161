"""`python -m deploy.local start|stop|status|install`: real servers on this machine, for work and for tests."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local import install
from deploy.local.servers import KINDS, ServerFailed, Servers

DATA = Path(".longtake/servers")
ABOUT = """Apache Kafka, MinIO (its buckets' events go to Kafka's topic longtake.objects) and PostgreSQL, on free ports of 127.0.0.1,
with random credentials. The first start installs what is missing: programs into .cache/servers of the checkout; Java, Maven, Go
and PostgreSQL by apt-get when run as root, else it says how. Ports, credentials and data stay the same in a data folder."""
EXAMPLES = """examples:
  python -m deploy.local start                     start all; addresses and credentials are in .longtake/servers/servers.json
  python -m deploy.local start --json | jq .s3     the same as one JSON document, secrets included
  python -m deploy.local stop --only minio         one server away, as in an outage; `start --only minio` brings it back
  python -m deploy.local status                    which run, and where their logs are
  python -m deploy.local stop                      all of them; starting again finds the same data (stop --remove: does not)"""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    try:
        return run(asked)
    except (install.NotInstalled, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 4


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(prog="python -m deploy.local", description=ABOUT, epilog=EXAMPLES, formatter_class=raw)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="install what is missing, start what does not run, wait until each answers")
    stop = commands.add_parser("stop", help="end them cleanly; killed after 30 s")
    status = commands.add_parser("status", help="which run; exit code 4 unless all do")
    commands.add_parser("install", help="only get the programs")
    stop.add_argument(
        "--at-end-of-input", action="store_true", help="first wait until standard input closes, as it does when its writer dies"
    )
    stop.add_argument("--remove", action="store_true", help="afterwards remove the folder: data, ports and credentials")
    for command in (start, stop, status):
        command.add_argument("--data", type=Path, default=DATA, metavar="DIR", help=f"the servers' folder (default {DATA})")
    for command in (start, stop):
        command.add_argument("--only", action="append", choices=KINDS, default=[], help="this server alone (repeatable)")
    for command in (start, status):
        command.add_argument("--json", action="store_true", help="addresses, credentials, pids and versions on standard output")
    return whole


def run(asked: argparse.Namespace) -> int:
    if asked.command == "install":
        install.kafka()
        install.minio()
        print("\n".join(f"{name} {version}" for name, version in install.versions().items()))
        return 0
    if asked.command == "stop" and asked.at_end_of_input:
        sys.stdin.read()
    servers = Servers(asked.data)
    if asked.command == "stop":
        servers.remove() if asked.remove else servers.stop(*asked.only)
        return 0
    if asked.command == "start":
        servers.start(*asked.only)
    running = report(servers, as_json=asked.json)
    return 0 if asked.command == "start" or running == set(KINDS) else 4


def report(servers: Servers, *, as_json: bool) -> set[str]:
    """Print which servers run; returns their names."""
    known = servers.describe()
    pids: dict[str, int] = known["pids"]
    if as_json:
        print(json.dumps(known, indent=2))
    else:
        for name in KINDS:
            print(f"{name:<9}{f'runs as process {pids[name]}' if name in pids else 'does not run'}, log: {servers.log(name)}")
        print(f"addresses and credentials: {servers.document}")
    return set(pids)


if __name__ == "__main__":
    sys.exit(main())
