"""What the parsers of database protocols share."""
