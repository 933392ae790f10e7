"""Errors that users can act on, and how a command tells them."""

import functools
import sys
from collections.abc import Callable

#: Exit status of a command that may succeed when it is tried again, as sysexits.h has it.
TEMPORARY = 75


class UnmaskError(Exception):
    """Something a user can put right; the message is one sentence that says what and how.

    A command that it ends exits with `status`.
    """

    status = 1


def exit_with_message(main: Callable[..., None]) -> Callable[..., None]:
    """Make a command end with the error's sentence and status in place of a traceback.

    Besides UnmaskError this holds for OSError, such as a full disk; any other error is a defect
    of this package and keeps its traceback.
    """

    @functools.wraps(main)
    def command(*args, **kwargs) -> None:
        try:
            main(*args, **kwargs)
        except (UnmaskError, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(getattr(error, "status", 1))

    return command
