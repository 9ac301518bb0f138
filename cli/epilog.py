"""Examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """Return an epilog that keeps its lines."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
