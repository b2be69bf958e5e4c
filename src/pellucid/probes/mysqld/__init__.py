"""MySQL's and MariaDB's server."""
