"""Cards of devices, prices and human baselines.

Lives here: what a device can do at most, what tokens and device-hours cost, what an expert costs.
Not here: model cards (`model_cards`) and the reading of files (`book`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from isocost.errors import IsocostError

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class DeviceCard(BaseModel):
    """What one device can do at most.

    Attributes:
        name: the name that sweeps and tables refer to.
        source: data sheet.
        aliases: names under which the driver reports the device.
        peak_flops_per_s: dense peak by number format; None = unknown (a processor without a sheet).
        bandwidth_bytes_per_s: peak memory bandwidth; None = unknown.
        memory_bytes: device memory; None = unknown.
        power_limit_w: default board power limit; None = unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    aliases: tuple[str, ...] = ()
    peak_flops_per_s: dict[str, float] | None
    bandwidth_bytes_per_s: float | None = Field(gt=0)
    memory_bytes: float | None = Field(gt=0)
    power_limit_w: float | None = Field(gt=0)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.peak_flops_per_s is not None and any(
            not peak > 0 for peak in self.peak_flops_per_s.values()
        ):
            raise ValueError(
                "peak_flops_per_s must be positive; leave a format out when its peak is unknown"
            )
        return self

    def peak(self, number_format: str) -> float:
        """Dense peak in FLOP/s for a number format.

        Raises:
            IsocostError: the card does not know it.
        """
        if self.peak_flops_per_s is None or number_format not in self.peak_flops_per_s:
            known = ", ".join(self.peak_flops_per_s or ()) or "none"
            raise IsocostError(
                f"no dense peak for {number_format} is known (known: {known})",
                where=f"device card {self.name}, peak_flops_per_s",
                remedy="Add the figure and its source to a devices.yaml of your own",
            )
        return self.peak_flops_per_s[number_format]

    def bandwidth(self) -> float:
        """Peak bandwidth in bytes/s.

        Raises:
            IsocostError: the card does not know it.
        """
        if self.bandwidth_bytes_per_s is None:
            raise IsocostError(
                "no memory bandwidth is known",
                where=f"device card {self.name}, bandwidth_bytes_per_s",
                remedy="Add the figure and its source to a devices.yaml of your own",
            )
        return self.bandwidth_bytes_per_s

    def intensity(self, number_format: str) -> float:
        """Arithmetic intensity at which compute and memory are level.

        Peak FLOP/s over bytes/s, in FLOP per byte.
        """
        return self.peak(number_format) / self.bandwidth()


class PriceCard(BaseModel):
    """What a supplier asks, by the token, by the device-hour, or both.

    Attributes:
        name: the name results refer to.
        source: link.
        as_of: date of the price.
        usd_per_million_input_tokens: uncached prompt tokens; None = not sold by the token.
        usd_per_million_cached_input_tokens: cached prompt tokens; None = charged as other prompt
            tokens.
        usd_per_million_output_tokens: generated tokens; given together with the input price.
        usd_per_device_hour: one device for an hour; None = not sold by the hour.
        device: device card whose hour that is; given, tables price sessions on that device.
        model: model whose tokens these are, as a sweep names it (its card, name or path); given,
            tables price samples of that model.
        provider: host name of the service that asks it, such as api.openai.com, which stands for
            hosts below it, too; given, tables price only samples that came from there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    as_of: date
    usd_per_million_input_tokens: float | None = Field(default=None, ge=0)
    usd_per_million_cached_input_tokens: float | None = Field(default=None, ge=0)
    usd_per_million_output_tokens: float | None = Field(default=None, ge=0)
    usd_per_device_hour: float | None = Field(default=None, ge=0)
    device: str | None = None
    model: str | None = None
    provider: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.usd_per_million_input_tokens is None) != (
            self.usd_per_million_output_tokens is None
        ):
            raise ValueError("input and output token prices are given together or not at all")
        if self.usd_per_million_output_tokens is None and self.usd_per_device_hour is None:
            raise ValueError("a price card needs token prices or a price per device-hour")
        if self.model is not None and not self.is_by_token:
            raise ValueError("model names whose tokens are sold, and the card has no token prices")
        if self.provider is not None and self.model is None:
            raise ValueError("provider says who sells the tokens of a model, and there is no model")
        if self.provider is not None and not _HOST.fullmatch(self.provider):
            raise ValueError("provider must be a host name, such as api.openai.com")
        return self

    @property
    def is_by_token(self) -> bool:
        """Whether tokens have a price."""
        return self.usd_per_million_output_tokens is not None


class HumanBaseline(BaseModel):
    """What an expert is paid for one correct answer of a task, success assumed.

    Attributes:
        task: task name.
        usd_per_problem: dollars per problem.
        source: who says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    usd_per_problem: float = Field(gt=0)
    source: str
