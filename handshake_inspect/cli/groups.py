"""A group of commands: alone it prints its help, and for a mistyped command it suggests similar names."""

from __future__ import annotations

from typing import Any

import click

#: Exit code after Ctrl-C.
INTERRUPTED = 130


class Group(click.Group):
    """A group of this command line. The usage of all ends alike."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **{"subcommand_metavar": "COMMAND ...", **more})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without arguments, print the help on standard output, as no error."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command; the error for a mistyped one suggests similar names."""
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from handshake_inspect.views.words import nearest

            known = f" Commands are {', '.join(names)}."
            raise click.UsageError(f"there is no command {args[0]!r}.{nearest(args[0], names) or known}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, each with its whole first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return each command with its first sentence."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return [(name, one.get_short_help_str(limit=1000)) for name, one in found if one is not None]
