"""What both roles write, in a pull request: which version of which model is live in an environment."""

from typing import Annotated

from pydantic import Field

from homeport.specs.fields import DNS_LABEL, AlsoCalled, Digest, Spec, Version


class LiveWeights(Spec):
    """One version of a model's weights."""

    version: Version = Field(description='Version of the weights and tag of their image, such as "2".')
    digest: Digest | None = Field(
        default=None, description="Digest of their image, sha256:...; without it, the tag decides."
    )


class LiveVersion(Spec):
    """One version of a model that takes requests."""

    version: Version = Field(description='Version of the model and tag of its image, such as "3".')
    digest: Digest | None = Field(
        default=None,
        description="Digest of its image, sha256:...; without it, the image is built, or the tag of an existing one decides.",
    )
    weights: LiveWeights | None = Field(
        default=None, description="Version of its weights, if they are in an image of their own. Default: none."
    )


class CanaryVersion(LiveVersion):
    """A version that takes part of the requests beside the stable one, as a test."""

    percent: Annotated[int, AlsoCalled("weight")] = Field(
        ge=1,
        le=99,
        strict=True,
        description="Share of the requests through the gateway that it takes, 1 to 99 percent; the stable one takes the rest.",
    )


class LiveModel(Spec):
    """The versions of one model that are live in an environment."""

    spec: str = Field(min_length=1, description="Path of the model.yaml, relative to this file.")
    stable: LiveVersion = Field(description="The version that takes requests.")
    canary: CanaryVersion | None = Field(
        default=None, description="A version that takes part of the requests through the gateway. Default: none."
    )


class LiveModels(Spec):
    """Which version of which model is live in an environment (`models.yaml`)."""

    models: dict[Annotated[str, Field(pattern=DNS_LABEL)], LiveModel] = Field(
        description="Models by name, each with `spec`, `stable` and optionally `canary`."
    )
