"""A cursor of MariaDB's server, by its own client library: 25 rows, fetched 10 at a time; says what it has fetched as JSON.

Words: port, user, password, database.
"""

import ctypes
import json
import sys

port, user, password, database = (word.encode() for word in sys.argv[1:5])
TEXT = b"SELECT seq FROM seq_1_to_25 WHERE seq > ?"
CURSOR_TYPE, PREFETCH_ROWS = 1, 2  # enum enum_stmt_attr_type (mariadb_stmt.h)
READ_ONLY, LONG = 1, 3

library = ctypes.CDLL("libmariadb.so.3")
for name in ("mysql_init", "mysql_real_connect", "mysql_stmt_init"):
    getattr(library, name).restype = ctypes.c_void_p


class Bind(ctypes.Structure):
    """MYSQL_BIND of mariadb_stmt.h, as far as its type; what follows stays zero."""

    _fields_ = (
        ("length", ctypes.c_void_p), ("is_null", ctypes.c_void_p), ("buffer", ctypes.c_void_p), ("error", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 4), ("buffer_length", ctypes.c_ulong), ("offset", ctypes.c_ulong),
        ("length_value", ctypes.c_ulong), ("flags", ctypes.c_uint), ("pack_length", ctypes.c_uint),
        ("buffer_type", ctypes.c_int), ("rest", ctypes.c_byte * 64),
    )  # fmt: skip


def must(failed):
    """Stop where a call has failed."""
    if failed:
        sys.exit("libmariadb refuses")


session = ctypes.c_void_p(library.mysql_init(None))
where = (b"127.0.0.1", user, password, database, int(port), None, ctypes.c_ulong(0))
must(not library.mysql_real_connect(session, *where))
statement = ctypes.c_void_p(library.mysql_stmt_init(session))
for attribute, value in ((CURSOR_TYPE, READ_ONLY), (PREFETCH_ROWS, 10)):
    must(library.mysql_stmt_attr_set(statement, attribute, ctypes.byref(ctypes.c_ulong(value))))
must(library.mysql_stmt_prepare(statement, TEXT, ctypes.c_ulong(len(TEXT))))
number = ctypes.c_int(0)
bound = Bind(buffer=ctypes.cast(ctypes.byref(number), ctypes.c_void_p), buffer_type=LONG)
must(library.mysql_stmt_bind_param(statement, ctypes.byref(bound)))
must(library.mysql_stmt_execute(statement))
result = ctypes.c_int()
column = Bind(buffer=ctypes.cast(ctypes.byref(result), ctypes.c_void_p), buffer_type=LONG)
must(library.mysql_stmt_bind_result(statement, ctypes.byref(column)))
fetched = []
while library.mysql_stmt_fetch(statement) == 0:
    fetched.append(result.value)
library.mysql_stmt_close(statement)
library.mysql_close(session)
sys.stdout.write(json.dumps({"text": TEXT.decode(), "fetched": fetched}) + "\n")
