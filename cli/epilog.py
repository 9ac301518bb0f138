"""The examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """Return an epilog whose lines are not rewrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
