"""A method that is a program of its own: a client of OpenAI's API, measured from outside.

Lives here: its parameters, which are part of a point. Not here: how the client is run and its calls
are counted (``isocost.meter``).
"""

from __future__ import annotations

import shlex
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue, field_validator, model_validator

from isocost.methods.base import METHODS, Asked, Method, Steps

_FUNCTION = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


@METHODS.add
class External(Method):
    """A client that gets a problem, an address and a model's name, and returns an answer.

    Whatever it asks of the model goes through the meter, in whichever order and number.
    """

    name: ClassVar[str] = "external"
    source: ClassVar[str] = "the client's own"
    needs: ClassVar[tuple[str, ...]] = ("serves_http",)
    is_outside: ClassVar[bool] = True

    command: str | None = None
    """A command line, run once for every sample; it prints the answer."""
    function: Annotated[str, Field(pattern=_FUNCTION)] | None = None
    """A function as module:function, called once for every sample; it returns the answer."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """Further named arguments of the function, or values that the command reads."""
    version: str = ""
    """Of the client: another version is another point."""
    time_limit_s: Annotated[float, Field(gt=0, le=10**6, strict=False)] = 600.0
    """Seconds that one sample may take."""
    call_limit: Annotated[int, Field(ge=1, le=10**5)] = 1000
    """Calls that one sample may make."""
    token_limit: Annotated[int, Field(ge=1, le=10**8)] = 10**6
    """Generated tokens of one sample, after which no further call is made."""

    @field_validator("command")
    @classmethod
    def _check_words(cls, command: str | None) -> str | None:
        if command is not None and not shlex.split(command):
            raise ValueError("the command is empty")
        return command

    @model_validator(mode="before")
    @classmethod
    def _check_client(cls, given: Any) -> Any:
        if isinstance(given, dict) and (
            (given.get("command") is None) == (given.get("function") is None)
        ):
            raise ValueError("it needs a command or a function, and not both")
        return given

    def run(self, asked: Asked) -> Steps:
        """Never called; see `Method.is_outside`."""
        raise NotImplementedError(f"{self.name} is run by the meter, not asked {asked.question!r}")
