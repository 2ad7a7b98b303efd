"""What speaks for records in a container that serving code writes, and what speaks against.

A write while serving is not enough: workers, parsers, options and connections are written then too. A store keeps what
came from outside (it is keyed by ids, or made of records, or named after what people enter), and its owner is not a
machine that works on something else.
"""

from __future__ import annotations

from outlive.scan.annotations import element_of, key_of
from outlive.scan.catalogue import Entry
from outlive.scan.entries import OUTSIDE
from outlive.scan.hints import INNER, SETTINGS
from outlive.scan.likeness import Likeness, declares_fields, empty
from outlive.scan.longevity import SERVER_WORDS, STORAGE_WORDS
from outlive.scan.signals import WORDS
from outlive.scan.slots import Slot
from outlive.scan.summary import Val
from outlive.scan.uses import REMOVES, Use
from outlive.scan.words import singular, word_set, words

MACHINES = word_set("""
    option config configuration setting proxy poller parser lexer tokenizer loader importer compiler generator visitor
    transformer stream reader writer transport protocol connection request response context environment env runner
    worker dispatcher stat statistic recorder reporter formatter logger receiver sender stack frame scope node element
    widget column info query statement expression iterator cursor buffer pool executor thread process future lock
    event signal hook metaclass error exception warning checker watcher finder resolver inspector walker converter
    serializer encoder decoder validator matcher filter pattern template renderer printer path tree graph downloader
    scanner crawler fetcher collector dumper emitter client loop session state progress tester debugger profiler
    installer updater migrator optimizer trainer scraper uploader interpreter evaluator analyzer analyser linter
    builder factory dispatcher pipeline step stage socket pipe file archive image figure axis plot model layer module
    options settings stats columns args arguments namespace spec schema field type mixin sniffer poll selector
    heap router view form menu button modal window dialog frame screen page panel""")
PARTS = word_set("""
    client worker node connection conn socket server poller error exception warning failure frame dump stack scope
    buffer param parameter arg argument kwarg option setting config configuration default field column method attr
    attribute type class module object ref reference parent child edge index path dir directory header pattern filter
    tick signal step kernel port stage symbol variable var import instance component widget element layer schema hook
    cmd process thread pid fd descriptor readable writable future lock coroutine callback handler listener
    observer plugin extension loader parser session param prefix suffix arch target dependency dep file line
    timing timer interval metric stat statistic profiler profile trace output input known seen visited processed
    pending_ack inflight ack retry attempt backoff capability registered available loaded enabled disabled
    template pool folder loading router
    info metadata meta context env environment map mapping table lookup alias""")
IDS = word_set("""
    id ids uid uuid guid token email username userid sid nick nickname phone slug code isbn sku login account user
    author member guild chat channel room sender player owner tenant customer order""")
DOMAIN = frozenset[str]().union(
    *(words for name, words in WORDS.items() if name not in {"configuration", "ephemeral", "regenerable", "settings"})
) - word_set("request state pending progress round") | word_set("""
    room channel invite place player guild vote score leaderboard highscore song track playlist document bookmark
    friend follower feed record row upload download submission answer question book movie recipe post article blog
    chat thread_message participant attendee team tournament bet auction bid listing offer review rating favorite
    favourite wishlist shopping grocery habit goal workout meal pet animal car vehicle driver ride trip flight hotel
    contact address lead deal ticket incident secret credential whitelist blacklist blocklist allowlist revoked
    subscription reservation service_registration inbox mailbox mail email sms notification nickname afk birthday
    level xp inventory prescription loot quest clan party trade giveaway suggestion report todo memo memory data db
    database store storage repository repo records url link short shortened otp code survey poll
    resource device sensor reading telemetry job result board retained""")
RUNNING = word_set("""
    client handler controller runner worker server engine adapter driver provider manager loader connection tracer
    backend plugin component bot transport kernel proxy thread process executor dispatcher scheduler parser writer
    reader stream socket router view modal""")
KEEPERS = word_set("""
    server broker daemon manager service game bot cog app application api room lobby shop bank cart scheduler queue hub
    coordinator monitor controller ledger inventory catalog catalogue directory tracker history simulator emulator
    mailbox inbox journal registry bus platform portal market exchange board tracklist library""")


_ANY_QUEUE = word_set("""
    limited size sized bounded priority ordered multi fifo lifo async sync thread safe simple base abstract data""")
_OF_STORAGES = word_set("""
    backend manager plugin bot component server scheduler engine provider state handler controller file archive""")
# what a class does that speaks to a database of its own
DRIVES = frozenset({"execute", "cursor", "execute_sql", "executemany"})
ENOUGH, SURE = 3, 5


class Evidence:
    """What is known of one candidate's content and owner; `against` says why it is no store, empty when it may be."""

    def __init__(self, case: Likeness, doors: list[Entry]) -> None:
        self.case = case
        self.slot: Slot = case.slot
        self.world = case.world
        self.doors = doors
        self.application = self.world.service.get(self.slot.path, "") in self.world.applications
        self.puts = [use for use in case.later if use.how not in REMOVES]
        # a container that all protocols share outlives each connection
        inner = INNER - {"protocol"} if self.slot.kind == "class" else INNER
        self.outside = [each for each in doors if each.kind in {*OUTSIDE, "schedule"} and each.framework not in inner]
        self.owner = words(self.slot.key[1].rsplit(".", 1)[-1]) if self.slot.kind in {"class", "instance"} else ()
        self.own = {singular(each) for each in words(self.slot.name)}

    def against(self) -> str:
        """Why what is written while serving is no store; empty when it may be one."""
        score = self.score()
        if self.total() >= ENOUGH:
            return ""
        low = min(score, key=lambda each: score[each], default="")
        return low if score.get(low, 0) < 0 else "nothing shows that it holds records of users"

    def score(self) -> dict[str, int]:
        """What speaks for a store and against it, with points."""
        return self.attribute() if self.slot.kind in {"class", "instance"} else self.variable()

    def total(self) -> int:
        """All points together: a store from ENOUGH on, from SURE on whatever its class is called."""
        return sum(self.score().values())

    def attribute(self) -> dict[str, int]:
        """Points for and against an attribute of an object that lives long."""
        tail = singular(self.owner[-1])
        score = self._content()
        if self.storage():
            score[f"{self.slot.key[1]} is named as a storage"] = 4
        elif self._keeper():
            score["its owner is named as a keeper"] = 3 if set(self.owner) & SERVER_WORDS else 2
        if self.outside:
            score["written from outside"] = 2
        elif self.doors:
            score["written by loops and tasks"] = 0
        if self.slot.kind == "class":
            score["shared by all objects of the class"] = 1
        tail = "progress" if "progress" in self.owner else tail
        if tail in MACHINES:
            score[f"part of a {tail}, whose content is made again"] = -1 if any(map(self._at_door, self.puts)) else -3
        if self.own & PARTS:
            shown = self._shown()
            score[f"named after a part of a machine: {min(self.own & PARTS)}"] = (
                -2 if self.storage() else -1 - 2 * len(self.own & PARTS) if shown else -5
            )
        saved = bool(self.world.saved.get(self.slot.key))
        if self.slot.path in self.world.libraries and not self.storage() and not saved:
            server = bool(set(self.owner) & SERVER_WORDS) and (self._shown() or len(set(self.owner) & KEEPERS) > 1)
            score["part of a library: programs of others decide how long it lives"] = -1 if server else -4
        elif self.slot.path in self.world.libraries and self._handles():
            score["part of a library: it holds what its storage makes itself"] = -4
        elif not self.application and not self.storage() and not self._keeper():
            score["part of a library: its users' programs decide how long it lives"] = -1
        return score

    def variable(self) -> dict[str, int]:
        """Points for and against a variable of a module or a function, or a place in `app.state`."""
        score = self._content()
        score["it lives as long as the process"] = 2
        if self.doors:
            score["written while serving"] = 2 if self.outside else 1
        if self.slot.path in self.world.libraries:
            score["part of a library: programs of others decide what it holds"] = -3
        settings = self.own & {singular(each) for each in SETTINGS} and not self.own & STORAGE_WORDS
        if settings and not self.keyed():
            score["settings of the program"] = -4
        if not empty(self.slot) and self.slot.name.isupper() and not self.case._as_id() and not self.keyed():
            score["a template that is filled in"] = -3
        if self.own & PARTS:
            parts = self.own & PARTS
            score[f"named after a part of a machine: {min(parts)}"] = -1 - len(parts)
        return score

    def _content(self) -> dict[str, int]:
        score = {}
        if self.keyed():
            score["keyed by ids"] = 2
        if self.records():
            score["holds records"] = 2
        if self.domain():
            score["named after what people enter"] = 2
        elif {singular(each) for each in self.owner} & (DOMAIN - KEEPERS - {"thread"}):
            score["its owner is named after what people enter"] = 1
        if self.world.saved.get(self.slot.key):
            score[f"saved to {self.world.saved[self.slot.key]}"] = 3
        running = self._running()
        library = self.slot.path in self.world.libraries
        if running and (library or not (self.owner and self.storage())):
            score[f"holds a {running}, which is made again"] = -6 if library else -3
        if self.given():
            score["what is put in comes from outside"] = 1
        elif not (self.records() or self._nested()) and (self.owner or not (self._shown() or self.case._as_id())):
            score["what is put in comes from the program itself"] = -2 if self.owner else -1
        return score

    def _shown(self) -> bool:
        """Whether its content itself speaks for records."""
        return self.keyed() or self.records() or self.domain()

    def _keeper(self) -> bool:
        named = {singular(each) for each in self.owner} & KEEPERS
        return bool(named) and not (named == {"queue"} and set(self.owner) - {"queue"} <= _ANY_QUEUE)

    def storage(self) -> bool:
        """Whether its class, or one that it comes from, is named as a storage."""
        if singular(self.owner[-1]) in (MACHINES | RUNNING) - _OF_STORAGES:
            return False
        at = (self.slot.key[0], self.slot.key[1])
        if self.world.longevity.in_memory(at):
            return True
        own = [at, *self.world.resolver.bases(at)[0]]
        if any(DRIVES & set(self.world.resolver.inside(each)) for each in own):
            return False
        return any(set(words(each[1])) & STORAGE_WORDS for each in own)

    def given(self) -> bool:
        """Whether a value or key that is put in comes from a parameter, or is a record that is made there."""
        return any(self.case._given(use, anywhere=True) or self._at_door(use) for use in self.puts)

    def _at_door(self, use: Use) -> bool:
        """Whether what opens to the outside puts in something that is no literal."""
        door = self.world.doors.get(use.at)
        if door is None or (door.kind not in OUTSIDE and door.framework != "loop"):
            return False
        values = [each for each in (use.key, use.value) if each[0] not in {"l", "o", "n", "k"}]
        return any(door.framework == "loop" or not self._made(use, each) for each in values)

    def _running(self) -> str:
        """What kind of working part it holds, by the last word of the class; empty for records."""
        named = [element_of(self.slot.annotation), *(at[1] for at in self.slot.records)]
        own = self.slot.name.lower()
        if "_to_" in own or "_by_" in own:
            named.append(own.rpartition("_to_")[2].partition("_by_")[0])
        tails = [singular(each) for name in named for each in words(name.rsplit(".", 1)[-1])[-1:]]
        return next((each for each in tails if each in RUNNING), "")

    def _made(self, use: Use, value: Val) -> bool:
        """Whether a function of the program made a value out of nothing."""
        if value[0] != "c" or value[2] or value[3]:
            return False
        return any(ref.kind == "func" for ref in self.world.resolver.resolve(use.at, value[1]))

    def _handles(self) -> bool:
        """Whether nothing shows records, and calls make all that is put in: tables, connections."""
        puts = [use for use in self.puts if use.how == "set item" and use.depth == 0]
        return bool(puts) and not self._shown() and all(map(self._called, puts))

    def _called(self, use: Use) -> bool:
        """Whether a call makes a value, there or in an assignment to the variable that names it."""
        value = use.value
        binds = self.world.files[use.at[0]].scopes[use.at[1]].binds
        made = [each.value for each in binds if each.target == value[1]] if value[0] == "p" else [value]
        return bool(made) and all(each[0] == "c" for each in made)

    def _nested(self) -> bool:
        """Whether new containers are put in, one for each of something."""
        return any(use.value[0] == "k" and not use.value[2] for use in self.puts)

    def records(self) -> bool:
        """Whether records are put in: literals with named fields, or objects of classes that declare fields."""
        for _, value in self.case._inserted():
            if value[0] == "k" and value[1] == "dict" and _named_fields(value) > 1:
                return True
        for at in self.slot.records:
            scope = self.world.resolver.scope(at)
            if declares_fields(self.world, at) or any(
                "dataclass" in each.path or each.path.rsplit(".", 1)[-1] in {"define", "s", "attrs", "mutable"}
                for each in scope.decorators
            ):
                return True
        return False

    def keyed(self) -> bool:
        """Whether its keys are ids of something outside."""
        if {singular(each) for each in words(key_of(self.slot.annotation))} & IDS:
            return True
        keys = [use.key for use in self.case.later if use.how in {"set item", "setdefault", "augment item"}]
        alone = [use.value for use in self.case.later if use.how in {"append", "add"} and use.value[0] == "p"]
        return any(map(_id_like, (*keys, *alone)))

    def domain(self) -> bool:
        """Whether it is named after what people enter, or holds a class that is."""
        named = set(self.own) - PARTS - set(self.owner[-1:] if len(self.own) == 1 else ())
        if self.own & PARTS:
            return bool(named & DOMAIN)
        named |= {singular(each) for each in words(element_of(self.slot.annotation))}
        for at in self.slot.records:
            named |= {singular(each) for each in words(at[1])}
        return bool(named & DOMAIN)


def _named_fields(value: Val) -> int:
    return sum(1 for each in value[4] if each[0]) if len(value) > 4 else int(value[2])


def _id_like(value: object) -> bool:
    if not isinstance(value, tuple) or not value:
        return False
    if value[0] in {"p", "e", "d"} and isinstance(value[1], str):
        return bool({singular(each) for each in words(value[1].rsplit(".", 1)[-1])} & IDS)
    if (
        value[0] == "c"
        and isinstance(value[1], str)
        and words(value[1])[-1:]
        and ({"uuid", "uuid4", "token", "id"} & set(words(value[1])))
    ):
        return True
    return any(_id_like(each) for each in value[1:] if isinstance(each, tuple))
