"""Real shells, watched."""
