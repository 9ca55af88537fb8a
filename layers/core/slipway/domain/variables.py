"""Variables as the API takes and shows them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from slipway.domain.author import Author
from slipway.domain.configuration import Source
from slipway.domain.configuration_rules import LONGEST_VALUE, NAME, require_changes
from slipway.domain.fields import QueryModel, RequestModel, ResponseModel
from slipway.domain.rights import Tier
from slipway.domain.timestamps import Moment


class OfTier(QueryModel):
    """Which level of a project: that of the project itself, or of one of its tiers."""

    tier: Tier | None = Field(
        None, description="The level of this tier; that of the whole project if omitted."
    )


class Applying(QueryModel):
    """When a change of an environment takes effect."""

    apply: Literal["next", "now"] = Field(
        "next",
        description="`next`: with the next deployment. `now`: also queue a deployment of what is "
        "live, which brings the newest configuration.",
    )

    @property
    def now(self) -> bool:
        return self.apply == "now"


class Variable(ResponseModel):
    """A variable, and the level that its value comes from."""

    name: str = Field(examples=["LOG_LEVEL"])
    value: str = Field(examples=["debug"])
    source: Source = Field(examples=["environment"])
    updated_at: Moment = Field(validation_alias="at")
    updated_by: Author = Field(validation_alias="by")


class VariablesChange(RequestModel):
    """The variables to set, by name. `null` removes one from this level; omitted ones stay."""

    model_config = ConfigDict(extra="allow")
    most_pairs: ClassVar[int] = 500

    @classmethod
    def of_text(cls, text: str) -> dict[str, str]:
        """What a file of variables says (slipway.domain.dotenv)."""
        # Imported here, because most bodies are JSON.
        from slipway.domain import dotenv

        return dotenv.read(text)

    @model_validator(mode="before")
    @classmethod
    def _check(cls, sent: Any) -> Any:
        if isinstance(sent, dict):
            require_changes(sent)
        return sent

    @property
    def values(self) -> dict[str, str | None]:
        """The new values; None removes one."""
        return dict(self.__pydantic_extra__ or {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        schema["propertyNames"] = {"pattern": f"^{NAME}$"}
        text = {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}
        schema["additionalProperties"] = {"anyOf": [text, {"type": "null"}]}
        schema["minProperties"] = 1
        return schema


class VariablesChanged(ResponseModel):
    """What a change of variables has made."""

    configuration: int = Field(
        description="The number of the environment's newest configuration; of a project or a tier "
        "the version of its level.",
        examples=[5],
    )
    deployment_id: str | None = Field(
        None, description="The deployment that `apply=now` has queued, if it has queued one."
    )
    variables: list[Variable]
