"""What names the cluster that does the work: `local:N`, or the address of a Dask scheduler."""

import re
from typing import Annotated

from pydantic import AfterValidator

from unmask.errors import UnmaskError
from unmask.project import find_root

LOCAL = re.compile(r"local:([1-9]\d*)")
_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://.+:\d+")


def checked_cluster(value: str | None) -> str | None:
    """The value, where it names a cluster, or None for this machine's processes.

    Raises:
        ValueError: for anything else.
    """
    if value is None or LOCAL.fullmatch(value) or _ADDRESS.fullmatch(value):
        return value
    raise ValueError(
        f"{value!r} names no cluster: use null, local:N with a number of processes, or the address "
        "of a Dask scheduler such as tcp://host:8786"
    )


ClusterName = Annotated[str | None, AfterValidator(checked_cluster)]


def cluster_of(asked: str | None) -> str | None:
    """The cluster that a user asks for, by default that of the project's params, if there are any.

    Args:
        asked: as `checked_cluster` takes it; 'null' for this machine's processes.

    Raises:
        UnmaskError: when it names no cluster, or the params are wrong.
    """
    from unmask.config.params import load_params

    if asked is None:
        root = find_root()
        return load_params().cluster if root and (root / "params.yaml").is_file() else None
    try:
        return None if asked == "null" else checked_cluster(asked)
    except ValueError as error:
        raise UnmaskError(f"--cluster: {error}.") from error
