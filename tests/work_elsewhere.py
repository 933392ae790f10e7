"""Work for other processes, in a module that they can import."""

import os
import signal
import time


def square(number: int) -> int:
    """The square, after 20 ms."""
    time.sleep(0.02)
    if number == 777:
        raise ValueError("seven")
    return number * number


def die(picture: object) -> None:
    """Kill this process, as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def no_rows(picture: object, restored: object) -> list:
    """Nothing to monitor."""
    return []
