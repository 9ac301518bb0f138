"""Deployments fit their flows."""

import inspect

from prefect.flows import load_flow_from_entrypoint
from ruamel.yaml import YAML
from tiny_project import REPOSITORY


def test_deployments_are_unique_and_fit_their_flows():
    deployments = YAML(typ="safe", pure=True).load((REPOSITORY / "prefect.yaml").read_text())["deployments"]
    names = [deployment["name"] for deployment in deployments]
    assert names == ["new-domain", "re-evaluate", "translate"]
    for deployment in deployments:
        deployed = load_flow_from_entrypoint(deployment["entrypoint"])
        assert deployed.name == deployment["name"]
        assert set(deployment.get("parameters", {})) <= set(inspect.signature(deployed.fn).parameters)
