"""Sources of the envelope stream: a live ring, or a recording with the very same bytes."""
