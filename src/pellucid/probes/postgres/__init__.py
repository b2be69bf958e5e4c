"""PostgreSQL's server."""
