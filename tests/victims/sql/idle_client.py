"""A client by a Unix socket that waits until the server gives it up."""

import sys

import pymysql

_, user, password, _, socket = sys.argv[1:]
connection = pymysql.connect(user=user, password=password, unix_socket=socket)
connection.cursor().execute("SET wait_timeout = 1")
connection._sock.recv(1)
