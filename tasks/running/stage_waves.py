"""Which stages may run side by side: those of a kind whose inputs the kinds before it have made.

This is a coarser order than DVC's graph, which is asked stage by stage all the same. What is together in a wave never
reads what another stage of the wave writes.
"""

from collections.abc import Iterable

WAVES = (
    ("draw", "import"),
    ("ingest",),
    ("pretrain",),
    ("finetune",),
    ("swap",),
    ("distance", "evaluate", "translate"),
)
"""Kinds of stages; in the last wave the longest first, so that two processes end at about the same time."""


def stage_waves(stages: Iterable[str]) -> list[list[str]]:
    """Return the stages that lead to one or more domains, each once, as waves to be run one after another.

    >>> stage_waves(["draw@face", "ingest@face", "import@face", "draw@dog", "ingest@dog"])
    [['draw@face', 'import@face', 'draw@dog'], ['ingest@face', 'ingest@dog']]
    """
    once = list(dict.fromkeys(stages))
    waves = [[stage for stage in once if stage.partition("@")[0] in kinds] for kinds in WAVES]
    assert sum(map(len, waves)) == len(once), once
    return [wave for wave in waves if wave]
