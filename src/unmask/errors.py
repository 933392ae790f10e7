"""Errors that users can act on, and how a command reports them."""

import functools
import sys
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec

from unmask.extras import what_to_install

Parameters = ParamSpec("Parameters")

#: Exit status of a command that may succeed when it is tried again, as sysexits.h has it.
TEMPORARY = 75


def readable(text: str) -> str:
    """Text for people, in which the name of a file that is no valid UTF-8 is escaped."""
    return text.encode(errors="backslashreplace").decode()


class UnmaskError(Exception):
    """An error that the user can correct; the message is one sentence that says what and how.

    Attributes:
        status: exit status of a command that this error ends.
    """

    status = 1


def is_of_storage(error: Exception) -> bool:
    """Whether an error is a bucket's that did not answer or refused, by a client with its own."""
    return type(error).__module__.startswith("botocore.")


def exit_with_message(main: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Decorate a command so that an error ends it with one sentence and an exit status.

    This holds for UnmaskError, for OSError, such as a full disk, for what a bucket refuses, and for
    what is not installed; any other error is a defect of this package and keeps its traceback.
    """

    @functools.wraps(main)
    def command(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except (UnmaskError, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(getattr(error, "status", 1))
        except ImportError as error:
            if (sentence := what_to_install(error)) is None:
                raise
            print(f"error: {sentence}", file=sys.stderr, flush=True)
            sys.exit(1)
        except Exception as error:
            if not is_of_storage(error):
                raise
            print(f"error: the bucket does not answer: {error}", file=sys.stderr, flush=True)
            sys.exit(TEMPORARY)

    return command


def exit_where_an_extra_is_missing(extra: str) -> None:
    """Make programs whose imports fail end with the sentence that tells what to install.

    For packages of programs that `python -m` runs, which import before any function is called.

    Args:
        extra: what the programs need; another extra is named where this one lacks the module.
    """
    before = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        sentence = isinstance(error, ImportError) and what_to_install(error, extra)
        if sentence:
            print(f"error: {sentence}", file=sys.stderr, flush=True)
        else:
            before(kind, error, traceback)

    sys.excepthook = hook
