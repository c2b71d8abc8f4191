import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoveler.spool.blocks import BlockError, decode_block, encode_block


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=50)), max_size=20))
def test_blocks_there_and_back(rows):
    remotes = ["a:1", "b:2", "c:3", "d:4"]
    senders, datagrams = [sender for sender, _ in rows], [datagram for _, datagram in rows]
    assert decode_block(encode_block(remotes, senders, datagrams)) == (remotes, senders, datagrams)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93",
        encode_block(["a"], [0, 0], [b"x"]),
        encode_block(["a"], [1], [b"x"]),
        encode_block(["a"], [-1], [b"x"]),
        encode_block([], [0], [b"x"]),
    ],
)
def test_what_is_no_block(body):
    with pytest.raises(BlockError):
        decode_block(body)
