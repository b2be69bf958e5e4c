"""The client/server protocol of MySQL and MariaDB."""
