"""The order of the certificates in a time stamp.

DER wants the elements of a SET OF in the order of their bytes. ``openssl ts -reply``, on which many authorities run,
leaves them as its configuration has them, which rfc3161-client refuses to read. The certificates are not covered by the
stamp's signature, so they can be put in order; the length of nothing changes by that.
"""

from __future__ import annotations

_SEQUENCE = 0x30
_CONTEXT_0 = 0xA0


def with_sorted_certificates(response: bytes) -> bytes:
    """A time-stamp response (RFC 3161) in which the certificates are in DER's order; as it was where there are none.

    Raises ValueError for what is no DER as far as it is looked at.
    """
    _tag, begin, end = _element(response, 0, len(response), _SEQUENCE)  # TimeStampResp
    _tag, _begin, begin = _element(response, begin, end)  # its status
    if begin == end:
        return response  # a refusal has no token
    _tag, begin, end = _element(response, begin, end, _SEQUENCE)  # ContentInfo
    _tag, _begin, begin = _element(response, begin, end)  # its type
    _tag, begin, end = _element(response, begin, end, _CONTEXT_0)
    _tag, begin, end = _element(response, begin, end, _SEQUENCE)  # SignedData
    while begin < end:
        tag, inner, after = _element(response, begin, end)
        if tag == _CONTEXT_0:
            return response[:inner] + b"".join(sorted(_parts(response, inner, after))) + response[after:]
        begin = after
    return response


def _parts(data: bytes, begin: int, end: int) -> list[bytes]:
    found = list[bytes]()
    while begin < end:
        _tag, _inner, after = _element(data, begin, end)
        found.append(data[begin:after])
        begin = after
    return found


def _element(data: bytes, at: int, end: int, wanted: int | None = None) -> tuple[int, int, int]:
    """The tag of the element at ``at``, where its content begins, and where it ends."""
    if end - at < 2 or (wanted is not None and data[at] != wanted):
        raise ValueError("no DER of a time stamp")
    tag, length, begin = data[at], data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 0 < count <= 4 or begin + count > end:
            raise ValueError("no DER of a time stamp")
        length, begin = int.from_bytes(data[begin : begin + count], "big"), begin + count
    if begin + length > end:
        raise ValueError("no DER of a time stamp")
    return tag, begin, begin + length
