"""A client that has its server ask another one for what it replicates, and waits until that one has refused."""

import sys
import time

import pymysql

_, port, user, password, _, asked, tls = sys.argv
REFUSED = 1593  # ER_SLAVE_FATAL_ERROR: both have the same number
session = pymysql.connect(host="127.0.0.1", port=int(port), user=user, password=password)
commands = session.cursor(pymysql.cursors.DictCursor)
commands.execute(
    f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={asked}, MASTER_USER='{user}', "
    f"MASTER_PASSWORD='{password}', MASTER_SSL={tls}"
)
commands.execute("START SLAVE")
while True:
    commands.execute("SHOW SLAVE STATUS")
    if commands.fetchone()["Last_IO_Errno"] == REFUSED:
        break
    time.sleep(0.05)
commands.execute("STOP SLAVE")
commands.execute("RESET SLAVE ALL")
session.close()
