"""Reads a pickle as dead data: no name in it is imported, nothing in it is called.

Not an `Unpickler` with a guarded `find_class`: that one still calls what it is given, sets attributes and hashes keys. Here the
opcodes are read one by one, and a class, a call or an object becomes a record of what the pickle said. The caller says which
names a pickle may contain; opcodes that no such pickle has are refused.
"""

import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Mapping", "Name", "NameRefused", "PickleRefused", "Values", "read_inert"]


class PickleRefused(ValueError):
    """The bytes are no pickle that is read here."""


class NameRefused(PickleRefused):
    """The pickle asks for a name that is not on the list."""

    def __init__(self, name: "Name") -> None:
        super().__init__(f"it asks for {name}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that the pickle names; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        # Bytes of someone else's choice, and as many as they chose.
        return ascii(f"{self.module[:100]} {self.name[:100]}")


# Compared by identity, and their keys never hashed: a few bytes of memo make a value that takes for ever to walk.
@dataclass(eq=False, slots=True)
class Mapping:
    """A dict, as its pairs."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Values:
    """A set or a frozenset, as its values."""

    values: list[Any] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Call:
    """What would have been an object: the name that would have been called, its arguments, and the state to be set."""

    name: Name
    arguments: tuple[Any, ...]
    state: Any = None
    items: Mapping = field(default_factory=Mapping)


def read_inert(data: bytes, allowed: Collection[tuple[str, str]], *, limit: int) -> Any:
    """Return what a pickle holds: None, booleans, numbers, text, bytes, lists, tuples, and the records of this module.

    Text of Python 2 (`STRING` and its kin) is text of which each character is a byte.

    Args:
        data: the pickle, of any protocol.
        allowed: (module, name) pairs that may stand in it.
        limit: bytes it may have at most; reading takes up to some 100 times as much memory.

    Raises:
        NameRefused: it names something else.
        PickleRefused: it is longer, broken, or has opcodes that are not read (persistent ids, extension codes, buffers).
    """
    if len(data) > limit:
        raise PickleRefused(f"its {len(data)} bytes are more than {limit}")
    machine = _Machine(frozenset(allowed))
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.result()
            step = _STEPS.get(opcode.name)
            if step is None:
                raise PickleRefused(f"opcode {opcode.name} is not read")
            step(machine, argument)
    except PickleRefused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PickleRefused(f"it is broken ({type(error).__name__})") from error
    raise PickleRefused("it is broken (it does not end)")


class _Mark:
    """What MARK puts on the stack."""


_MARK = _Mark()


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, allowed: frozenset[tuple[str, str]]) -> None:
        self._allowed = allowed
        self._memo: dict[int, Any] = {}
        self.stack: list[Any] = []

    def result(self) -> Any:
        if len(self.stack) != 1:
            raise PickleRefused(f"it is broken ({len(self.stack)} values are left at its end)")
        return self.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise PickleRefused("it is broken (a mark where a value belongs)")
        return value

    def pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise PickleRefused(f"it is broken (a {type(self.stack[-1]).__name__} cannot be added to so)")
        return self.stack[-1]

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleRefused("it is broken (a name that is no text)")
        global_name = Name(module, name)
        if (module, name) not in self._allowed:
            raise NameRefused(global_name)
        self.push(global_name)

    def call(self, name: Any, arguments: Any) -> None:
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise PickleRefused("it calls what is no name on the list")
        self.push(Call(name, arguments))

    def build(self, state: Any) -> None:
        target = self.top(Call)
        if target.state is not None:
            raise PickleRefused("it sets an object's state twice")
        target.state = state

    def put(self, place: int) -> None:
        if self.stack[-1] is _MARK:
            raise PickleRefused("it is broken (a mark where a value belongs)")
        self._memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.push(self._memo[place])

    def memoize(self) -> None:
        self.put(len(self._memo))

    def add_pairs(self, flat: list[Any]) -> None:
        if len(flat) % 2:
            raise PickleRefused("it is broken (a key without a value)")
        target = self.stack[-1]
        # An OrderedDict's or a defaultdict's items are set on what was called.
        pairs = target.items.pairs if isinstance(target, Call) else self.top(Mapping).pairs
        pairs.extend(zip(flat[::2], flat[1::2], strict=True))


_Step = Callable[[_Machine, Any], None]


def _nothing(_machine: _Machine, _: Any) -> None:
    pass


def _push(machine: _Machine, value: Any) -> None:
    machine.push(value)


def _constant(value: Any) -> _Step:
    return lambda machine, _: machine.push(value)


def _tuple_of(size: int) -> _Step:
    def step(machine: _Machine, _: Any) -> None:
        machine.push(tuple([machine.pop() for _ in range(size)][::-1]))

    return step


def _global(machine: _Machine, names: str) -> None:
    module, _, name = names.partition(" ")
    machine.name(module, name)


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _call(machine: _Machine, _: Any) -> None:
    arguments, name = machine.pop(), machine.pop()
    machine.call(name, arguments)


def _dict(machine: _Machine, _: Any) -> None:
    flat = machine.pop_to_mark()
    machine.push(Mapping())
    machine.add_pairs(flat)


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.add_pairs([key, value])


def _set_items(machine: _Machine, _: Any) -> None:
    machine.add_pairs(machine.pop_to_mark())


def _append(machine: _Machine, _: Any) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine, _: Any) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


def _add_items(machine: _Machine, _: Any) -> None:
    values = machine.pop_to_mark()
    machine.top(Values).values.extend(values)


_PLAIN = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
# Left out, since no schema has them: INST, OBJ, NEWOBJ_EX, PERSID, BINPERSID, EXT1, EXT2, EXT4, BYTEARRAY8, NEXT_BUFFER,
# READONLY_BUFFER, DUP, POP, POP_MARK.
_STEPS: dict[str, _Step] = {
    **dict.fromkeys(_PLAIN, _push),
    "PROTO": _nothing,
    "FRAME": _nothing,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push(Mapping()),
    "DICT": _dict,
    "EMPTY_SET": lambda machine, _: machine.push(Values()),
    "FROZENSET": lambda machine, _: machine.push(Values(machine.pop_to_mark())),
    "MARK": lambda machine, _: machine.push(_MARK),
    "PUT": lambda machine, place: machine.put(place),
    "BINPUT": lambda machine, place: machine.put(place),
    "LONG_BINPUT": lambda machine, place: machine.put(place),
    "MEMOIZE": lambda machine, _: machine.memoize(),
    "GET": lambda machine, place: machine.get(place),
    "BINGET": lambda machine, place: machine.get(place),
    "LONG_BINGET": lambda machine, place: machine.get(place),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "ADDITEMS": _add_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "BUILD": lambda machine, _: machine.build(machine.pop()),
}
