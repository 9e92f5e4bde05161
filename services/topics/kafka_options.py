"""What is set about a Kafka cluster: how to reach it safely, and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class _Secret(str):
    """Text that no repr shows: kafka-python logs its settings, whole, at level DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How to reach a cluster that is not open to all. Files are PEM; mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""

    protocol: str = "PLAINTEXT"  # or SSL, SASL_PLAINTEXT, SASL_SSL
    ca_file: str = ""  # empty: the system's own
    certificate_file: str = ""  # of this client, where the cluster asks for one
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.protocol not in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
            raise ValueError(f"the protocol is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, got {self.protocol}")
        if self.protocol.startswith("SASL") and not (self.mechanism and self.user and self.password):
            raise ValueError(f"{self.protocol} needs a mechanism, a user and a password")

    def settings(self) -> dict[str, Any]:
        """As kafka-python wants it."""
        wanted = {
            "ssl_cafile": self.ca_file,
            "ssl_certfile": self.certificate_file,
            "ssl_keyfile": self.key_file,
            "ssl_password": _Secret(self.key_password),
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.user,
            "sasl_plain_password": _Secret(self.password),
        }
        return {"security_protocol": self.protocol} | {name: value for name, value in wanted.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long whom is waited for, in seconds."""

    answer_s: float = 30.0  # for an answer of the broker to anything but a put; then it counts as unavailable
    put_s: float = 30.0  # until records that were put are acknowledged
    session_s: float = 45.0  # a member that sends no heartbeat for so long has died, and its work goes to others
    poll_s: float = 300.0  # a member that does not call poll for so long hangs, and its work goes to others
    fetch_s: float = 0.1  # the broker holds a request for new records so long; a partition resumed meanwhile waits for its end

    def __post_init__(self) -> None:
        if not self.fetch_s < self.answer_s or min(self.put_s, self.session_s, self.poll_s, self.fetch_s) <= 0:
            raise ValueError(f"all waits are positive, and fetch_s is less than answer_s, got {self}")


OPEN = Security()
PATIENT = Waits()
