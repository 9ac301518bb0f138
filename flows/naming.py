"""What runs are called and tagged: what they do, to which domains, with what and how much of it."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import runtime
from prefect.client.orchestration import get_client

from tasks.project.params import load_params
from tasks.project.paths import find_project
from ui2i.errors import UI2IError

MAX_NAMES = 3  # of domains in a run's name


def run_name(flow: str, parameters: Mapping[str, Any]) -> str:
    """Return what a run of a flow is called.

    Args:
        flow: its name, such as `re-evaluate`.
        parameters: of the run, as Python or JSON has them.

    Examples:
        >>> run_name("re-evaluate", {"domains": ["cartoon", "anime"]})
        're-evaluate cartoon, anime'
        >>> run_name("train-encoder", {"base": "face"})
        'train-encoder face'
    """
    if flow == "translate":
        request = parameters.get("request")
        images, domain = (request.get(key) if isinstance(request, Mapping) else getattr(request, key, None)
                          for key in ("images", "domain"))  # fmt: skip
        return f"translate {_images_named(images)} to {domain}"
    if flow == "re-evaluate":
        return f"re-evaluate {_domains_named(parameters.get('domains'), parameters.get('project'))}"
    if flow == "demo":
        return f"demo {_domains_named(parameters.get('domains'), None)}"
    images = parameters.get("images")
    name = f"{flow} {parameters.get('name') or parameters.get('base') or parameters.get('domain')}"
    return name if images is None else f"{name} from {_images_named(images)}"


def this_run_name() -> str:
    """Return what the run that this code is in is called; of flows, `flow_run_name`."""
    return run_name(str(runtime.flow_run.flow_name), runtime.flow_run.parameters or {})


def tag_this_run(kind: str, *domains: str) -> None:
    """Tag the run that this code is in by its kind and its domains, beside the tags that it has."""
    tags = {*runtime.flow_run.tags, kind, *domains}
    with get_client(sync_client=True) as client:
        client.update_flow_run(runtime.flow_run.id, tags=sorted(tags))


def _domains_named(domains: Sequence[str] | None, project: str | None) -> str:
    if domains is None:
        with contextlib.suppress(UI2IError):
            domains = list(load_params(find_project(project)).domains)
    if domains is None:
        return "all domains"
    if not isinstance(domains, (list, tuple)):  # the server has not checked it yet
        return str(domains)
    return ", ".join(map(str, domains)) if len(domains) <= MAX_NAMES else f"{len(domains)} domains"


def _images_named(images: Any) -> str:
    """Return how many images are in a folder, and its name."""
    from tasks.requests.raw_images import count_images

    path = Path(str(images))
    with contextlib.suppress(UI2IError, OSError):
        count = count_images(path)
        return f"{count:,} image{'' if count == 1 else 's'} of {path.name}"
    return path.name
