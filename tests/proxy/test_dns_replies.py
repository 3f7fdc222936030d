"""What is said to one DNS query: by the letter of the protocol, and whatever the bytes are."""

import struct

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.dns.replies import TTL_S, WRONG_ADDRESS, Reply, Verdict, reply_to
from brownout.proxy.toxics.dns_failure import ANSWERS

HOST = "db.brownout.internal"


def known(host: str) -> Verdict | None:
    return Verdict("127.0.0.1") if host == HOST else None


def asked(kind: str = "A", *, name: str = HOST, verdict: Verdict | None = None) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    reply = reply_to(query.to_wire(), known if verdict is None else lambda _: verdict)
    assert reply is not None
    parsed = dns.message.from_wire(reply.packet)
    assert parsed.id == query.id
    assert query.is_response(parsed)
    return parsed


@pytest.mark.parametrize("name", [HOST, f"{HOST}.", "DB.Brownout.INTERNAL"])
def test_a_name_has_its_address_for_a_second_in_whatever_case_it_is_asked_for(name: str) -> None:
    reply = asked(name=name)
    (answer,) = reply.answer
    assert (answer.rdtype, answer.ttl, [str(one) for one in answer]) == (dns.rdatatype.A, TTL_S, ["127.0.0.1"])
    assert reply.flags & dns.flags.RA


def test_an_address_of_the_other_family_is_no_data_and_for_how_long_is_said() -> None:
    reply = asked("AAAA")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert reply.resolve_chaining().minimum_ttl == TTL_S
    assert str(asked("AAAA", verdict=Verdict("::1")).answer[0][0]) == "::1"
    assert asked("A", verdict=Verdict("::1")).answer == []


@pytest.mark.parametrize("name", ["elsewhere.brownout.internal", "example.org", ".", "xn--bcher-kva.example"])
def test_other_names_are_refused(name: str) -> None:
    assert asked(name=name).rcode() == dns.rcode.REFUSED


def test_another_class_and_another_kind_of_query_are_none_of_ours() -> None:
    chaos = dns.message.make_query(HOST, "TXT", "CH")
    update = dns.message.make_query(HOST, "A")
    update.set_opcode(dns.opcode.STATUS)
    two = dns.message.make_query(HOST, "A")
    two.question.append(two.question[0])
    for query, code in ((chaos, dns.rcode.REFUSED), (update, dns.rcode.NOTIMP), (two, dns.rcode.FORMERR)):
        reply = reply_to(query.to_wire(), known)
        assert reply is not None
        assert dns.message.from_wire(reply.packet).rcode() == code


def test_each_failure_is_what_it_is_called() -> None:
    assert asked(verdict=Verdict("127.0.0.1", "servfail")).rcode() == dns.rcode.SERVFAIL
    assert asked(verdict=Verdict("127.0.0.1", "refused")).rcode() == dns.rcode.REFUSED
    gone = asked(verdict=Verdict("127.0.0.1", "nxdomain"))
    assert gone.rcode() == dns.rcode.NXDOMAIN
    assert gone.resolve_chaining().minimum_ttl == TTL_S
    assert str(asked(verdict=Verdict("127.0.0.1", "wrong_address")).answer[0][0]) == WRONG_ADDRESS
    query = dns.message.make_query(HOST, "A").to_wire()
    assert reply_to(query, lambda _: Verdict("127.0.0.1", "timeout")) is None
    slow = reply_to(query, lambda _: Verdict("127.0.0.1", "slow", 0.25))
    assert slow is not None
    assert slow.delay == 0.25
    assert str(dns.message.from_wire(slow.packet).answer[0][0]) == "127.0.0.1"


def test_a_reply_is_not_replied_to() -> None:
    reply = reply_to(dns.message.make_query(HOST, "A").to_wire(), known)
    assert reply is not None
    assert reply_to(reply.packet, known) is None
    assert reply_to(reply.packet[:-1], known) is None


def test_what_is_broken_behind_its_header_is_a_format_error_of_the_same_number() -> None:
    query = dns.message.make_query(HOST, "A", id=4711).to_wire()
    for end in range(12, len(query)):
        reply = reply_to(query[:end], known)
        assert reply is not None
        answer = dns.message.from_wire(reply.packet)
        assert (answer.id, answer.rcode(), answer.flags & dns.flags.QR) == (4711, dns.rcode.FORMERR, dns.flags.QR)
    assert all(reply_to(query[:end], known) is None for end in range(12))


def as_glibc_does(name: str, number: int, kind: int) -> bytes:
    """A query as res_mkquery(3) makes it, without dnspython."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


@given(number=st.integers(0, 2**16 - 1), kind=st.integers(0, 2**16 - 1))
def test_every_kind_of_record_may_be_asked_for(number: int, kind: int) -> None:
    reply = reply_to(as_glibc_does(HOST, number, kind), known)
    assert reply is not None
    answered, flags, questions, *_ = struct.unpack_from("!6H", reply.packet)
    assert (answered, bool(flags & 0x8000)) == (number, True)
    assert questions in (0, 1)


verdicts = st.builds(
    Verdict, st.sampled_from(["127.0.0.1", "::1"]), st.sampled_from(["", *ANSWERS]), st.floats(0.0, 10.0)
)


@given(packet=st.binary(max_size=600), verdict=st.none() | verdicts)
def test_any_bytes_get_a_reply_or_none(packet: bytes, verdict: Verdict | None) -> None:
    well_formed(packet, reply_to(packet, lambda _: verdict))


@given(data=st.data(), verdict=st.none() | verdicts)
def test_a_query_with_some_bytes_changed_gets_a_reply_or_none(data: st.DataObject, verdict: Verdict | None) -> None:
    query = bytearray(dns.message.make_query(HOST, "A", use_edns=0).to_wire())
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(query) - 1), st.integers(0, 255)), max_size=6)):
        query[place] = byte
    well_formed(bytes(query), reply_to(bytes(query), lambda _: verdict))


def well_formed(packet: bytes, reply: Reply | None) -> None:
    if reply is not None:
        assert reply.packet[:2] == packet[:2]
        assert reply.packet[2] & 0x80
        assert len(reply.packet) <= 1232
        dns.message.from_wire(reply.packet)
