"""Datagram inspector: a list of datagrams, the fields of one, its bytes; a filter, and the story of one file."""
