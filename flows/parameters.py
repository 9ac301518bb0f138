"""The types of the flows' parameters: a server's forms show them, and it checks a run's before there is a run.

The schemas are for servers alone. Who calls a flow from Python or from `ui2i` is told by the flow what is wrong.
"""

import typing
from typing import Annotated, Any

from pydantic import TypeAdapter, WithJsonSchema

from tasks.project.params import MODES, NAME_PATTERN
from ui2i.config import InversionMethod, TrainingConfig


def _overrides_schema() -> dict[str, Any]:
    """Return what settings of a training may be given; the mode decides on `freeze_mapping`."""
    properties = TypeAdapter(TrainingConfig).json_schema()["properties"]
    allowed = {name: schema for name, schema in properties.items() if name != "freeze_mapping"}
    return {"type": "object", "properties": allowed, "additionalProperties": False}


Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"})]
Mode = Annotated[str, WithJsonSchema({"type": "string", "enum": list(MODES)})]
Method = Annotated[str, WithJsonSchema({"type": "string", "enum": list(typing.get_args(InversionMethod))})]
Overrides = Annotated[dict[str, Any], WithJsonSchema(_overrides_schema())]
Psi = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 2})]
Steps = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})]
Start = Annotated[str, WithJsonSchema({"type": "string", "enum": ["mean", "encoder"]})]
SwapMode = Annotated[str, WithJsonSchema({"type": "string", "enum": ["weights", "features", "blend"]})]
ImageFraming = Annotated[str, WithJsonSchema({"type": "string", "enum": ["center", "fit"]})]
