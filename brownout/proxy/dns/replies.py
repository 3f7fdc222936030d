"""What is said to one DNS query. Pure: no socket, no clock; the wire format is dnspython's (RFC 1035)."""

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL_S = 1
"""Of every answer, in whole seconds as DNS has it; and of that there is none (RFC 2308). Short, as of a name behind
which instances come and go: a fault is felt, and is over, a second later."""
WRONG_ADDRESS = "127.0.0.2"
"""On the loopback like every address that is told here, and where no link listens."""
_HEADER = struct.Struct("!HH4H")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a query for a name that is known."""

    address: str
    """IPv4 or IPv6."""
    answer: str = ""
    """One of `brownout.proxy.toxics.dns_failure.ANSWERS`; empty where nothing is wrong."""
    delay: float = 0.0
    """Seconds by which the reply is late."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send, and how many seconds later."""

    packet: bytes
    delay: float = 0.0


def reply_to(packet: bytes, ask: Callable[[str], Verdict | None]) -> Reply | None:
    """The reply to a query; None where there is to be none. Bytes may be anything.

    Args:
        packet: as it came, without the length that TCP puts before it.
        ask: decides on a name, in lower case and without the last dot; called once for each query of a name that
            could be known, and returns None for one that is not.
    """
    try:
        query = dns.message.from_wire(packet, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return _format_error(packet)
    if query.flags & dns.flags.QR:
        # A reply to a reply would be a loop.
        return None
    reply = dns.message.make_response(query, recursion_available=True)
    if query.opcode() != dns.opcode.QUERY:
        reply.set_rcode(dns.rcode.NOTIMP)
    elif len(query.question) != 1:
        reply.set_rcode(dns.rcode.FORMERR)
    else:
        return _answered(query.question[0], reply, ask)
    return Reply(reply.to_wire())


def _answered(
    question: dns.rrset.RRset, reply: dns.message.Message, ask: Callable[[str], Verdict | None]
) -> Reply | None:
    usual = question.rdclass == dns.rdataclass.IN
    verdict = ask(question.name.to_text(omit_final_dot=True).lower()) if usual else None
    if verdict is None:
        reply.set_rcode(dns.rcode.REFUSED)
        return Reply(reply.to_wire())
    address = verdict.address
    match verdict.answer:
        case "timeout":
            return None
        case "servfail":
            reply.set_rcode(dns.rcode.SERVFAIL)
        case "refused":
            reply.set_rcode(dns.rcode.REFUSED)
        case "nxdomain":
            reply.set_rcode(dns.rcode.NXDOMAIN)
            reply.authority.append(_none(question.name))
        case _:
            if verdict.answer == "wrong_address":
                address = WRONG_ADDRESS
            kind = dns.rdatatype.A if ipaddress.ip_address(address).version == 4 else dns.rdatatype.AAAA
            if question.rdtype in (kind, dns.rdatatype.ANY):
                reply.answer.append(dns.rrset.from_text(question.name, TTL_S, "IN", kind, address))
            else:
                reply.authority.append(_none(question.name))
    return Reply(reply.to_wire(), verdict.delay)


def _none(name: dns.name.Name) -> dns.rrset.RRset:
    """That there is no such name or no such record, and for how long that is true (RFC 2308, section 3)."""
    zone = name.parent() if len(name) > 1 else name
    return dns.rrset.from_text(zone, TTL_S, "IN", "SOA", f"brownout.internal. none.invalid. 1 60 60 60 {TTL_S}")


def _format_error(packet: bytes) -> Reply | None:
    """Whoever sent a header gets one back (RFC 1035, section 4.1.1), unless it says that it is a reply."""
    if len(packet) < _HEADER.size:
        return None
    number, flags, *_counts = _HEADER.unpack_from(packet)
    if flags & dns.flags.QR:
        return None
    kept = flags & (0x7800 | dns.flags.RD)  # the kind of query
    return Reply(_HEADER.pack(number, dns.flags.QR | kept | dns.rcode.FORMERR, 0, 0, 0, 0))
