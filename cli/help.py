"""How groups of commands list them: with whole summaries, which Click by itself cuts at the end of the line."""

from typing import Any

from typer.core import TyperGroup


class WholeSummaries(TyperGroup):
    """A group whose help wraps the summary of a command instead of cutting it."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the first paragraph of its help."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, " ".join((command.help or "").partition("\n\n")[0].split()))
            for name, command in commands
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
