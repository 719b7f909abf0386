"""Which bounds does the server keep? Each may be set by a variable of the container."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Bounds(BaseSettings):
    """What one sender may cost the server, so that no request can end it."""

    model_config = SettingsConfigDict(env_prefix="HOMEPORT_")

    max_body_bytes: int = Field(default=5 * 1024 * 1024, gt=0)
    # Bodies that wait for their turn and answers on their way out, all together.
    max_held_bytes: int = Field(default=40 * 1024 * 1024, gt=0)
    transfer_seconds: float = Field(default=30, gt=0)
    # The pod's grace period minus its preStop sleep has to be longer than this.
    drain_seconds: int = Field(default=20, gt=0)
