"""Reading machine code: what a function does, found from its instructions."""
