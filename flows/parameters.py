"""The types of the flows' parameters: a server's forms show them, and it checks a run's before there is a run.

The schemas are for servers alone. Who calls a flow from Python or from `ui2i` is told by the flow what is wrong.
"""

from typing import Annotated, Any

from pydantic import TypeAdapter, WithJsonSchema

from tasks.project.params import MODES
from tasks.requests.translation_request import Name as Name
from ui2i.settings import TrainingConfig


def _overrides_schema() -> dict[str, Any]:
    """Return what settings of a training may be given; the mode decides on `freeze_mapping`."""
    properties = TypeAdapter(TrainingConfig).json_schema()["properties"]
    allowed = {name: schema for name, schema in properties.items() if name != "freeze_mapping"}
    return {"type": "object", "properties": allowed, "additionalProperties": False}


Mode = Annotated[str, WithJsonSchema({"type": "string", "enum": list(MODES)})]
Overrides = Annotated[dict[str, Any], WithJsonSchema(_overrides_schema())]
