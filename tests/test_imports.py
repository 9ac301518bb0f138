"""No module imports itself by way of others, not even for a type checker alone."""

import graphlib

import grimp

PACKAGES = ("ui2i", "tasks", "flows", "cli", "experiments")


def test_there_is_no_import_cycle() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules
