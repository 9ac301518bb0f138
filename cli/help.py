"""How help is laid out: with whole summaries of commands, and arguments by the names that usage gives them."""

from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup

from cli.epilog import examples


class WholeSummaries(TyperGroup):
    """A group whose help wraps the summary of a command instead of cutting it at the end of the line."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, in whose help an argument with a name of its own has no Python type behind that."""
        command = super().get_command(ctx, cmd_name)
        for parameter in command.params if command is not None else ():
            if isinstance(parameter, TyperArgument) and parameter.metavar is not None:
                vars(parameter)["display_type_rich"] = _nothing
        return command

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


def group(summary: str, *lines: str) -> typer.Typer:
    """Return a group of commands, with lines of examples at the end of its help."""
    return typer.Typer(
        help=summary, cls=WholeSummaries, no_args_is_help=True, rich_markup_mode=None, epilog=examples(*lines)
    )


def _nothing(ctx: Any) -> None:
    del ctx
