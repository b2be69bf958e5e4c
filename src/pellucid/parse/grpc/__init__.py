"""gRPC, and the protobuf in it."""
