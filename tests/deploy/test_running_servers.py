"""Real servers: what they hold, what they tell each other, and what stays through a stop, a kill and a start."""

from __future__ import annotations

import pytest

from deploy.local.servers import Servers

pytestmark = pytest.mark.servers


def test_starting_servers_that_run_changes_nothing(servers: Servers) -> None:
    before = servers.describe()

    servers.start()

    assert servers.describe() == before
    assert set(before["pids"]) == {"kafka", "minio", "postgres"}
