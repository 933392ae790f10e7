"""Work that takes a while, in a module that other processes can import."""

import time


def square(number: int) -> int:
    """The square, after 20 ms."""
    time.sleep(0.02)
    if number == 777:
        raise ValueError("seven")
    return number * number
