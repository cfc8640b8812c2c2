"""Who answers a request: checked once the connection stands, whatever the name service had said."""

import socket
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.connectors import addresses
from core.errors import AppError


class PeerAdapter(HTTPAdapter):
    """Checks who answers: a name may mean another machine now than when it was looked up."""

    def __init__(self, home: addresses.Realm, sockets: set[socket.socket]) -> None:
        self._home = home
        self._sockets = sockets
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        home, sockets = self._home, self._sockets

        def check(connection: HTTPConnection) -> None:
            # Behind a proxy it is the proxy that answers, wherever that lies.
            if connection.proxy is None and connection.sock is not None:
                try:
                    peer = str(connection.sock.getpeername()[0])
                    addresses.check_realm(
                        addresses.realm_of(peer, connection.host), home, connection.host
                    )
                except AppError:
                    connection.close()
                    raise
            if connection.sock is not None:
                sockets.difference_update({old for old in sockets if old.fileno() < 0})
                sockets.add(connection.sock)

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                check(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                check(self)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
