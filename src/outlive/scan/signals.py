"""What names can mean to the ranking: each signal with its points, its words, and what the loss means.

`WORDS` are in the singular. Words of `money` and `personal` count as names of fields only, all others as part of the
container's, the record's or the owning class's name. `[scan.words]` and `[scan.points]` in outlive.toml add to them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """Points, what they are for, and the impact of the loss with how grave that is at most.

    `{what}` (and `{What}` at the head of a sentence) in `impact` is what the store holds.
    """

    points: int
    said: str
    level: str = ""
    impact: str = ""


SIGNALS: dict[str, Signal] = {
    "requests": Signal(50, "written while requests are served"),
    "background": Signal(40, "written by timers, tasks or threads"),
    "command": Signal(35, "written by a command"),
    "unreached": Signal(25, "no request or timer was seen to write it"),
    "accounting": Signal(
        40, "accounting", "critical", "Lost {what} = money that cannot be billed, paid back or accounted for"
    ),
    "money": Signal(20, "amounts of money", "high", "Lost amounts in {what} = figures that nobody can prove"),
    "account": Signal(25, "customers or users", "critical", "Lost {what} = customers the service no longer knows"),
    "personal": Signal(
        20, "personal data", "high", "{What} hold personal data = requests to show or delete it cannot be met"
    ),
    "health": Signal(
        25, "health or safety", "critical", "Lost {what} = outbreaks and incidents that nobody can follow"
    ),
    "compliance": Signal(15, "compliance: evidence of what was done", "high", "Lost {what} = no audit trail"),
    "history": Signal(10, "history", "high", "Lost {what} = the past cannot be analysed"),
    "operations": Signal(10, "daily work", "high", "Lost {what} = operations stop until people enter them again"),
    "rules": Signal(5, "customers' own rules", "high", "Lost {what} = manual reconfiguration needed"),
    "tenant": Signal(5, "rows of several tenants"),
    "bounded": Signal(10, "older records are dropped already"),
    "ids": Signal(
        10,
        "numbers begin again after a restart",
        "high",
        "{What} begin again after a restart = the next record takes the number of an old one",
    ),
    "places": Signal(0, "places", "medium", "No spatial queries = {what} cannot be searched by region"),
    "settings": Signal(-20, "settings that can be set again", "medium", "Lost {what} = users must set them again"),
    "configuration": Signal(
        -30, "configuration, which changes rarely", "low", "Lost {what} = manual reconfiguration (rare updates)"
    ),
    "regenerable": Signal(-20, "can be generated again", "low", "{What} are generated on demand (acceptable loss)"),
    "session": Signal(-20, "lives only for a while", "medium", "Lost {what} = people must begin again"),
    "ephemeral": Signal(-35, "ephemeral by nature", "low", "Lost {what} = seen anew within moments"),
    "file": Signal(
        -5,
        "a file keeps it over a restart",
        "high",
        "A file rewritten whole = a crash may tear it, and only one process may write it",
    ),
}
_TEXTS = {
    "accounting": """
    invoice payment subscription transaction ledger billing balance refund payout wallet expense budget salary payroll
    usage charge deposit withdrawal purchase receipt loan debt credit donation cart checkout order income
    revenue coin bank economy""",
    "account": """
    tenant customer account client user member patient profile farmer student employee organization company contact
    subscriber guest person people""",
    "personal": "email phone mobile birthday birthdate dob passport iban ssn surname firstname lastname",
    "money": "amount price cost fee salary balance total_price refund",
    "health": """
    diagnosis disease medical symptom vaccination treatment incident accident safety hazard""",
    "compliance": """
    audit evidence consent certificate signature approval inspection maintenance compliance licence license contract
    agreement vote ballot moderation warning ban infraction""",
    "history": """
    history log event reading measurement timeline activity message conversation transcript journal observation
    comment post note""",
    "operations": """
    task job assignment booking reservation appointment shipment delivery ticket alert alarm equipment inventory stock
    asset field crop schedule reminder project todo item product issue request""",
    "rules": "rule policy template automation webhook workflow trigger",
    "settings": "setting preference option prefix language theme",
    "configuration": "config configuration provider feature flag",
    "regenerable": "generated rendered computed forecast prediction thumbnail preview embedding",
    "session": "session token draft progress game match round lobby queue pending quiz state device",
    "ephemeral": """
    heartbeat presence online typing cooldown throttle ratelimit otp nonce csrf challenge lock spam flood registry""",
}
WORDS: dict[str, frozenset[str]] = {name: frozenset(text.split()) for name, text in _TEXTS.items()}
FIELD_SIGNALS = frozenset({"money", "personal"})
