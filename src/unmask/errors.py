"""Errors that users can act on, and how a command reports them."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

Parameters = ParamSpec("Parameters")

#: Exit status of a command that may succeed when it is tried again, as sysexits.h has it.
TEMPORARY = 75


class UnmaskError(Exception):
    """An error that the user can correct; the message is one sentence that says what and how.

    Attributes:
        status: exit status of a command that this error ends.
    """

    status = 1


def exit_with_message(main: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Decorate a command so that an error ends it with one sentence and an exit status.

    This holds for UnmaskError and for OSError, such as a full disk; any other error is a defect of
    this package and keeps its traceback.
    """

    @functools.wraps(main)
    def command(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except (UnmaskError, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(getattr(error, "status", 1))

    return command
