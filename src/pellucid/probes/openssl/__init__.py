"""OpenSSL and the libraries that keep its interface."""
