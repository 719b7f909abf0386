"""The server's limits and addresses. Variables of the container can set each of them."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SMALL_BYTES = 32 * 1024
"""A body or an answer of at most this size never waits for memory: see ``Held``."""


class Bounds(BaseSettings):
    """Limits on what one sender may use, so that no request can stop the server."""

    model_config = SettingsConfigDict(env_prefix="HOMEPORT_")

    max_body_bytes: int = Field(default=5 * 1024 * 1024, gt=0)
    max_rows: int = Field(default=10_000, gt=0)
    # Bodies and unsent answers above SMALL_BYTES, all together.
    max_held_bytes: int = Field(default=40 * 1024 * 1024, gt=0)
    # From the first byte of a request to its last one, and the same again for the answer.
    transfer_seconds: float = Field(default=30, gt=0)
    # Without a byte of a request that has begun.
    stall_seconds: float = Field(default=10, gt=0)
    # From the last byte of a request until its answer. The pod's grace period minus its preStop sleep is longer.
    drain_seconds: int = Field(default=20, gt=0)

    @property
    def max_held_by_one(self) -> int:
        """The most bytes that one peer may hold: half, so that one alone cannot use all of the memory."""
        return max(self.max_held_bytes // 2, 1)


class Address(BaseSettings):
    """Where the server listens: MLServer's own variables."""

    model_config = SettingsConfigDict(env_prefix="MLSERVER_")

    host: str = "0.0.0.0"  # noqa: S104  # every address of the container
    http_port: int = 8080
    metrics_port: int = 8082
