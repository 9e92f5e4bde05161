"""How commands answer: exit codes, one sentence an error, and the options that all of them share. Knows no command."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any

import typer


class Exit(IntEnum):
    DONE = 0
    BUG = 1
    USAGE = 2
    UNREADABLE = 3
    UNAVAILABLE = 4
    STOPPED = 130


def answers(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn a command's outcome into an exit code and every error into one sentence."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from pipelines.interfaces import ServiceUnavailable, StoreUnavailable, UnreadableVideo, WrongRequest
        from services.topics.base import BrokerUnavailable

        try:
            code = command(*args, **kwargs) or Exit.DONE
        except WrongRequest as error:
            code = _say(Exit.USAGE, str(error))
        except UnreadableVideo as error:
            code = _say(Exit.UNREADABLE, str(error))
        except (StoreUnavailable, ServiceUnavailable, BrokerUnavailable) as error:
            code = _say(Exit.UNAVAILABLE, str(error))
        except BrokenPipeError:  # `longtake findings | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = Exit.DONE
        except OSError as error:
            code = _say(Exit.UNAVAILABLE, f"{error.filename or 'a file'} cannot be used: {error.strerror or error}")
        except KeyboardInterrupt:
            code = _say(Exit.STOPPED, "stopped; what was measured is kept, the same command goes on from here")
        except typer.Exit:
            raise
        except Exception as error:
            if os.environ.get("LONGTAKE_DEBUG"):
                raise
            if (known := _of_a_system(error)) is not None:
                raise typer.Exit(int(_say(known, str(error)))) from error
            code = _say(Exit.BUG, f"this is a bug in Longtake ({type(error).__name__}: {error}); LONGTAKE_DEBUG=1 shows where")
        raise typer.Exit(int(code))

    return run


def _of_a_system(error: Exception) -> Exit | None:
    """Errors of the published systems, looked up only once something went wrong: most commands know none of them."""
    from model.checkpoints import UnreadableCheckpoint
    from model.compression.summary_tokens import WrongRatio
    from model.language.prompts import TokenizerMissing, WrongPrompt
    from model.systems.manifest import MemoryMismatch, UnreadableMemory
    from model.systems.video_xl_config import UnsupportedConfig

    if isinstance(error, (WrongRatio, WrongPrompt)):
        return Exit.USAGE
    unreadable = (UnreadableCheckpoint, UnsupportedConfig, TokenizerMissing, MemoryMismatch, UnreadableMemory)
    return Exit.UNREADABLE if isinstance(error, unreadable) else None


def _say(code: Exit, sentence: str) -> Exit:
    typer.secho(f"longtake: {sentence}", err=True, fg=None if code is Exit.STOPPED else typer.colors.RED)
    return code


StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="FOLDER|URL", help="Result store: a folder, or a database URL. Default: ~/.local/share/longtake."),
]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="What the visual encoder computes on: cpu, cuda, tensorrt or coreml; repeatable. Default: cpu."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for machines.")]
