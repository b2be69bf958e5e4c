"""Bodies of messages: collected, decoded, and read while they arrive."""
