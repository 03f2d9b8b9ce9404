"""On which address the web app listens, and who can then reach it."""

import socket

from core.errors import UsageError

LOCALHOST = "127.0.0.1"
SHARED = (
    "Everybody who can reach this machine can now use the app. There is no login and no encryption: the address of a comparison "
    "is the only key to its pictures."
)


def check_address(host: str, port: int) -> None:
    """Find out before the server starts whether it can listen there.

    Raises
    ------
    core.errors.UsageError
        The address is none of this machine's, or the port is taken or not allowed.
    """
    if not 0 < port < 65536:
        raise UsageError(f"A port lies between 1 and 65535; got {port}.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As the server does it: a port whose last connections are just being closed is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or "no such host"
        raise UsageError(f"The app can't listen on {host}, port {port}: {reason}. Choose another --host or --port.") from error
