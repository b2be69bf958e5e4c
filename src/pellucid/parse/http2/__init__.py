"""HTTP/2 and its header compression."""
