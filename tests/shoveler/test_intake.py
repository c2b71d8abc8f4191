import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoveler.intake import Intake, check_map, fault
from shoveler.spool.values import Books, Draft


def binary(code=b"f", body=b"", plen=None):
    size = 8 + len(body)
    return code + b"\x00" + (size if plen is None else plen).to_bytes(2, "big") + b"\x00\x00\x00\x01" + body


A = ("192.0.2.7", 1094)
B = ("2001:db8::1", 1095, 0, 0)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (binary(), None),
        (binary(b"=", b"x" * 65499), None),
        (b"<statistics/>", None),
        (b'{"code":"g"}', None),
        (b"code=g&pseq=++1", None),
        (b"<", None),
        (b"", "empty"),
        (b"f", "short"),
        (b"f\x00\x00\x07xxx", "short"),
        (b"cod", "short"),
        (binary(plen=9), "length"),
        (binary(body=b"x", plen=8), "length"),
        (b"GET / HTTP/1.1\r\n", "length"),
        (binary(b"f", b"x" * 140).ljust(256, b"\0"), None),  # dCache's plug-in fills up to a power of two
        (binary(b"f", b"x" * 140).ljust(255, b"\0"), "length"),
        (binary(b"f", b"x" * 140).ljust(255, b"\0") + b"x", "length"),
        (binary(b"u", b"x" * 140).ljust(256, b"\0"), "length"),
    ],
)
def test_header_check(datagram, reason):
    assert fault(datagram) == reason


def test_a_length_above_32767_is_unsigned():
    assert fault(binary(b"f", b"x" * 40000)) is None


def taken(intake, burst):
    draft, books = Draft(), Books()
    intake.add(burst, draft, books)
    return draft, books


def test_taking_keeps_order_and_counts_by_sender():
    burst = [(binary(), A), (binary(b"="), B), (b"short", A), (binary(b"f", b"y"), A), (b"<x", B)]
    draft, books = taken(Intake(), burst)
    assert list(draft.remotes) == ["192.0.2.7:1094", "[2001:db8::1]:1095"]
    assert draft.senders == [0, 1, 0, 1]
    assert draft.datagrams == [burst[0][0], burst[1][0], burst[3][0], burst[4][0]]
    a, b = draft.counts["192.0.2.7:1094"], draft.counts["[2001:db8::1]:1095"]
    assert (a.received, a.bytes, a.by_code, a.oversize) == (2, 17, {"f": 2}, 0)
    assert (b.received, b.bytes, b.by_code) == (2, 10, {"=": 1, "<": 1})
    assert books.counts["192.0.2.7:1094"].rejected == {"short": 1}
    assert draft.size == 27


def test_without_verify_everything_is_taken():
    draft, books = taken(Intake(verify=False), [(b"", A), (b"\xff\xfe", A), (b"GET /", A)])
    assert draft.datagrams == [b"", b"\xff\xfe", b"GET /"]
    assert draft.counts["192.0.2.7:1094"].by_code == {"other": 2, "G": 1}
    assert not books


def test_datagrams_that_ip_fragments_are_counted():
    """1472 bytes fit one Ethernet frame over IPv4, 1452 over IPv6 (format reference, section 11.3)."""
    burst = [(binary(b"f", b"x" * (size - 8)), address) for address in (A, B) for size in (1452, 1453, 1472, 1473)]
    draft, _ = taken(Intake(), burst)
    assert {remote: count.oversize for remote, count in draft.counts.items()} == {
        "192.0.2.7:1094": 1,
        "[2001:db8::1]:1095": 3,
    }
    draft, _ = taken(Intake(path_mtu=9000), burst)
    assert sum(count.oversize for count in draft.counts.values()) == 0


@pytest.mark.parametrize(
    ("address", "ip_map", "remote"),
    [
        (A, {}, "192.0.2.7:1094"),
        (B, {}, "[2001:db8::1]:1095"),
        (("::ffff:192.0.2.7", 5, 0, 0), {}, "192.0.2.7:5"),
        (("fe80::1%eth0", 5, 0, 2), {}, "[fe80::1]:5"),
        (A, {"all": "10.0.0.1"}, "10.0.0.1:1094"),
        (A, {"192.0.2.7": "2001:db8::9"}, "[2001:db8::9]:1094"),
        (A, {"192.0.2.7": "10.0.0.2", "all": "10.0.0.1"}, "10.0.0.2:1094"),
        (A, {"192.0.2.8": "10.0.0.2"}, "192.0.2.7:1094"),
        (B, {"2001:db8::1": "cache.example.org"}, "cache.example.org:1095"),
        (("::ffff:192.0.2.7", 5, 0, 0), {"192.0.2.7": "10.0.0.3"}, "10.0.0.3:5"),
    ],
)
def test_names_of_senders(address, ip_map, remote):
    assert Intake(ip_map=ip_map).remote(address) == remote
    draft, _ = taken(Intake(ip_map=ip_map), [(binary(), address)])
    assert list(draft.remotes) == [remote]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"host": "1.2.3.4"}, "'host' is neither an IP address"),
        ({"1.2.3.4": 'x"y'}, "is not an IP address or host name"),
        ({"all": ""}, "is not an IP address or host name"),
        ({"all": "a b"}, "is not an IP address or host name"),
    ],
)
def test_a_bad_ip_map(table, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_map(table)


def test_a_good_ip_map():
    check_map({"all": "1.2.3.4", "::1": "se01.example.org", "1.2.3.4": "::2"})


def test_no_room_still_tells_bad_from_good():
    books = Books()
    Intake().reject([(binary(), A), (b"x", A), (binary(), B)], books, "spool_full")
    assert books.counts["192.0.2.7:1094"].rejected == {"spool_full": 1, "short": 1}
    assert books.counts["[2001:db8::1]:1095"].rejected == {"spool_full": 1}


def test_forged_senders_do_not_fill_the_memory():
    intake = Intake()
    for port in range(65536):
        intake.remote(("192.0.2.1", port))
    assert len(intake._known) <= 20_000


@given(st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([A, B]))), st.booleans())
def test_whatever_arrives_is_taken_or_counted(burst, verify):
    draft, books = taken(Intake(verify=verify), burst)
    rejected = sum(sum(delta.rejected.values()) for delta in books.counts.values())
    assert len(draft) + rejected == len(burst)
    assert sum(count.received for count in draft.counts.values()) == len(draft)
    assert sum(count.bytes for count in draft.counts.values()) == draft.size == sum(map(len, draft.datagrams))
    assert verify or not rejected
