"""Who is told by which channel."""

from __future__ import annotations

from vaultd.config.notify import Told
from vaultd.notices.form import FAILED, NOWHERE, OWN, Delivery, Kept


def deliveries(kept: Kept, told: Told) -> tuple[Delivery, ...]:
    """What is to be sent for a notice.

    To nobody in particular: every channel that is for everybody and takes this kind. To persons: the channels that they
    name, once each, and the addresses of their own. Who has no way of their own is told by the channels for everybody.
    Where nothing is left, that is a failure, for whom it was for.
    """
    kind, wanted = kept.notice.kind, kept.notice.recipients
    if kept.only is not None:
        known = told.notify.channel_named(kept.only) is not None
        return (Delivery(kept.only, wanted) if known else Delivery(kept.only, wanted, FAILED, 0, "no-channel"),)
    common = [one.name for one in told.notify.channel if one.everybody and one.takes(kind)]
    if not wanted:
        return tuple(Delivery(name) for name in common) or (Delivery(NOWHERE, (), FAILED, 0, "no-channel"),)
    shared: dict[str, list[str]] = {}
    own: list[Delivery] = []
    lost: list[str] = []
    for person in dict.fromkeys(wanted):
        found = False
        for number, way in enumerate(told.ways_of(person)):
            channel = told.notify.channel_named(way)
            if way.startswith("/"):
                own.append(Delivery(f"{OWN}:{number + 1}", (person,)))
                found = True
            elif channel is not None and channel.takes(kind):
                shared.setdefault(way, []).append(person)
                found = True
        if not found:
            for name in common:
                shared.setdefault(name, []).append(person)
            if not common:
                lost.append(person)
    sent = [Delivery(name, tuple(persons)) for name, persons in shared.items()]
    failed = [Delivery(NOWHERE, tuple(lost), FAILED, 0, "no-channel")] if lost else []
    return (*sent, *own, *failed)


def address_file(delivery: Delivery, told: Told) -> str | None:
    """The file with the address of a delivery, None where the configuration has none any more."""
    channel = told.notify.channel_named(delivery.channel)
    if channel is not None:
        return str(channel.url_file)
    name, _colon, number = delivery.channel.rpartition(":")
    if name == OWN and number.isdecimal() and delivery.persons:
        ways = told.ways_of(delivery.persons[0])
        if 0 < int(number) <= len(ways) and ways[int(number) - 1].startswith("/"):
            return ways[int(number) - 1]
    return None


def lane(delivery: Delivery) -> str:
    """Deliveries of one lane go one after the other; no lane waits for another."""
    return f"{delivery.channel}/{delivery.persons[0]}" if delivery.channel.startswith(f"{OWN}:") else delivery.channel
