"""What is asked of an agent in one turn."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from perdure.agents.messages import all_dumped, all_loaded
from perdure.agents.naming import checked_correlation


class RunRequest(BaseModel):
    """A turn's request; the names of its JSON form are those of the Agent Framework's Functions host."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    message: str = ""
    """What is said to the agent."""
    messages: list[dict[str, Any]] | None = None
    """Several messages instead, in the framework's JSON form."""
    role: Literal["user", "system", "assistant", "developer"] = "user"
    """Who says it."""
    correlation_id: str = Field(alias="correlationId")
    """Identity of the turn: a request that comes twice is answered once."""
    response_format: dict[str, Any] | None = None
    """JSON schema that the answer is to follow."""
    enable_tool_calls: bool = True
    """Whether the agent may use its tools."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options for the model, as the agent's `run` takes them."""

    @field_validator("correlation_id")
    @classmethod
    def _checked(cls, value: str) -> str:
        return checked_correlation(value)

    @field_validator("role", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        if value is None or value == "":
            return "user"
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("messages")
    @classmethod
    def _readable(cls, value: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        try:
            return None if value is None else all_dumped(all_loaded(value))
        except Exception as error:
            raise ValueError(f"messages are to be in the framework's JSON form: {error}") from error

    @model_validator(mode="after")
    def _says_something(self) -> RunRequest:
        for number, each in enumerate(self.messages or (), 1):
            if not each.get("contents"):
                raise ValueError(f"message {number} of `messages` has no contents")
        if not self.message.strip() and not any(map(_says, self.messages or ())):
            raise ValueError("a message is required")
        return self

    def said(self) -> list[dict[str, Any]]:
        """Return what is said, as messages in their JSON form."""
        if self.messages:
            return self.messages
        return [{"role": self.role, "contents": [{"type": "text", "text": self.message}]}]

    def shown(self) -> str:
        """Return what is said as one text, for people."""
        if self.message:
            return self.message
        texts = (part.get("text") for each in self.messages or [] for part in each.get("contents", []))
        return "\n".join(text for text in texts if isinstance(text, str))

    def to_json(self) -> dict[str, Any]:
        """Return its JSON form."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=False)


def _says(message: dict[str, Any]) -> bool:
    return any(part.get("type") != "text" or str(part.get("text") or "").strip() for part in message["contents"])
