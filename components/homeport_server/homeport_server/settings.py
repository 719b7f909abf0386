"""The server's limits. Variables of the container can set each of them."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Bounds(BaseSettings):
    """Limits on what one sender may use, so that no request can stop the server."""

    model_config = SettingsConfigDict(env_prefix="HOMEPORT_")

    max_body_bytes: int = Field(default=5 * 1024 * 1024, gt=0)
    # Waiting bodies and unsent answers, all together.
    max_held_bytes: int = Field(default=40 * 1024 * 1024, gt=0)
    transfer_seconds: float = Field(default=30, gt=0)
    # The pod's grace period minus its preStop sleep must be longer than this.
    drain_seconds: int = Field(default=20, gt=0)
