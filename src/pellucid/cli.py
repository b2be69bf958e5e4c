"""The command line, made from `settings.py`. Exit status: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import dataclasses
import sys
import typing
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any

import click

from pellucid import commands, doctor, inventory, replaying
from pellucid.errors import PellucidError
from pellucid.escape import escape
from pellucid.log import configure
from pellucid.settings import Bash, Mysqld, Postgres, Show, Tls, Zsh, check_meaning
from pellucid.sink.spec import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ALIASES = {"openssl": "tls"}

_PATH = click.Path(readable=False, path_type=Path)
"""Whether a file can be read shows when it is opened: that is no wrong usage."""


class _Group(click.Group):
    """Knows eCapture's other names for a command."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))


def _number(kind: type[int | float], least: float, most: float) -> Callable[[str], float]:
    """A click type for numbers within bounds: named to those who are beyond them, not in the help."""

    def convert(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            whole = " whole" if kind is int else ""
            raise click.BadParameter(f"{text!r} is not a{whole} number") from None
        if not number >= least:  # so that NaN is refused too
            raise click.BadParameter(f"{text} is too small: at least {least}")
        if number > most:
            raise click.BadParameter(f"{text} is too large: at most {most}")
        return number

    return convert


def _type(annotation: Any, least: float, most: float) -> Any:
    """The click type of a field: `int | None` is an int, `tuple[int, ...]` one int of many."""
    if typing.get_origin(annotation) is tuple:
        annotation, _ = typing.get_args(annotation)
    if isinstance(annotation, UnionType):
        (annotation,) = (part for part in typing.get_args(annotation) if part is not NoneType)
    if annotation in {int, float}:
        return _number(annotation, least, most)
    return _PATH if annotation is Path else annotation


def _option(field: dataclasses.Field[Any], annotation: Any) -> Callable[[Any], Any]:
    more = dict(field.metadata)
    flags, _ = more.pop("flags"), more.pop("meaning")
    choices = more.pop("choices", None)
    bounds = more.pop("least", 0), more.pop("most", sys.maxsize)
    if choices:
        more["type"] = click.Choice(choices)
    elif annotation is bool:
        more["is_flag"] = True
    else:
        more["type"] = _type(annotation, *bounds)
    if annotation is bool or more.get("multiple"):
        return click.option(*flags, field.name, default=field.default, **more)
    if field.default not in {None, 0, ""}:
        more["help"] += f"  [default: {field.default}]"
    return click.option(*flags, field.name, multiple=True, callback=partial(_once, field.default), **more)


def _once(default: Any, ctx: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The only value: to take the last of several would silently pass over the others."""
    if len(values) > 1:
        raise click.BadParameter(f"given {len(values)} times, and only one can be meant", ctx, param)
    return values[0] if values else default


def _options(cls: type[Show], names: Iterable[str]) -> Callable[[Any], Any]:
    """Give a command the options of these settings."""
    annotations = typing.get_type_hints(cls)
    wanted = set(names)

    def decorate(command: Any) -> Any:
        for field in reversed(dataclasses.fields(cls)):
            if field.name in wanted:
                command = _option(field, annotations[field.name])(command)
        return command

    return decorate


def from_settings(cls: type[Show]) -> Callable[[Any], Any]:
    """Give a command one option for each setting, and hand it the settings as its last argument."""
    names = {field.name for field in dataclasses.fields(cls)}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def command(*args: Any, **values: Any) -> None:
            settings = cls(**{name: values.pop(name) for name in names})
            check_meaning(settings)
            place = settings.logaddr
            path = None if place is None or endpoint_of(place) else Path(place)
            configure(debug=settings.debug, path=path)
            function(*args, **values, settings=settings)

        command.__doc__ = function.__doc__
        command.__name__ = function.__name__
        decorated: Callable[..., None] = _options(cls, names)(command)
        return decorated

    return decorate


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(None, "-v", "--version", package_name="pellucid", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """See through TLS on machines that you own: no CA, no proxy, no restart."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


@cli.command()
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@from_settings(Tls)
def tls(words: tuple[str, ...], settings: Tls) -> None:
    """Show what programs send and receive through OpenSSL.

    With -m pcap, FILTER says which packets are meant, in tcpdump's words: tcp port 443.

    Events go to stdout, the log to stderr; Ctrl-C ends it. The command is also called openssl.
    """
    commands.capture_tls(settings, words)


@cli.command()
@from_settings(Postgres)
def postgres(settings: Postgres) -> None:
    """Show what PostgreSQL servers are asked, with user, database, rows and errors.

    It is read where the server reads and writes it: with TLS or without, by whatever client.
    """
    commands.capture(settings)


@cli.command()
@from_settings(Mysqld)
def mysqld(settings: Mysqld) -> None:
    """Show what MySQL and MariaDB servers are asked, with user, database, rows and errors.

    It is read where the server reads and writes it: with TLS or without, by whatever client.
    """
    commands.capture(settings)


@cli.command()
@from_settings(Bash)
def bash(settings: Bash) -> None:
    """Show what people type into bash, with user, terminal, directory, exit status and duration.

    A command is shown when it has ended.
    """
    commands.capture_shell(settings)


@cli.command()
@from_settings(Zsh)
def zsh(settings: Zsh) -> None:
    """Show what people type into zsh, with user, terminal, directory, exit status and duration.

    A command is shown when it has ended.
    """
    commands.capture_shell(settings)


@cli.command()
@click.argument("file", type=_PATH)
@from_settings(Show)
def replay(file: Path, settings: Show) -> None:
    """Show what --record has recorded; needs no root."""
    replaying.replay(file, settings, drop_root=True)


@cli.command()
@_options(Tls, ["libssl", "pid"])
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
def targets(libssl: tuple[Path, ...], pid: int | None, as_json: bool) -> int:
    """List the libraries and programs that tls, postgres and mysqld would watch, who uses them, and why not.

    Exit status 1 if there is none. Without root it says what it could not see.
    """
    return inventory.run(libssl, pid, as_json=as_json)


@cli.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def check(as_json: bool) -> int:
    """Say what this machine can do, and what to do about the rest.

    Exit status 1 if `pellucid tls` cannot run here. Without root it says what it could not check.
    """
    return doctor.run(as_json=as_json)


def main() -> None:
    """Run the command line; every error is one line on stderr."""
    try:
        sys.exit(cli.main(prog_name="pellucid", standalone_mode=False))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "pellucid"
        click.echo(f"pellucid: {error.format_message().rstrip('.')} (see {command} --help)", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(1)
    except PellucidError as error:
        click.echo(f"pellucid: {escape(str(error))}", err=True)
        sys.exit(error.exit_status)
