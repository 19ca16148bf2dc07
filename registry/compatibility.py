"""Whether clients of one contract go on working with another."""

from collections.abc import Iterator

from registry.contract import Column, ColumnType, Contract, Output

# What a column accepts beside its own type without losing a digit. A long in a double column loses
# digits beyond 2**53; the server refuses those values and takes the others.
WIDER: dict[ColumnType, tuple[ColumnType, ...]] = {
    "boolean": (),
    "integer": ("long", "double"),
    "long": ("double",),
    "float": ("double",),
}


def breaking(old: Contract, new: Contract) -> tuple[str, ...]:
    """What a client of `old` would trip over if `new` answered; empty when nothing."""
    return (
        *_task(old, new),
        *(problem for column in old.columns for problem in _column(column, new)),
        *_demands(old, new),
        *(problem for output in old.outputs for problem in _output(output, new)),
    )


def _task(old: Contract, new: Contract) -> Iterator[str]:
    if new.task != old.task:
        yield f"the task was {old.task} and is {new.task}"


def _column(old: Column, contract: Contract) -> Iterator[str]:
    new = next((column for column in contract.columns if column.name == old.name), None)
    if new is None:
        yield f"column {old.name!r} was dropped"
        return
    if new.type != old.type and new.type not in WIDER.get(old.type, ()):
        yield f"column {old.name!r} was {old.type} and is {new.type}"
    if old.nullable and not new.nullable:
        yield f"column {old.name!r} could be null and can not"
    if new.limit is not None and (old.limit is None or new.limit < old.limit):
        before = "any number" if old.limit is None else f"up to {old.limit:g}"
        yield f"column {old.name!r} took {before} and takes up to {new.limit:g}"


def _demands(old: Contract, new: Contract) -> Iterator[str]:
    known = {column.name for column in old.columns}
    for column in new.columns:
        if column.name not in known and not column.nullable:
            yield f"column {column.name!r} is new and must be sent"


def _output(old: Output, contract: Contract) -> Iterator[str]:
    new = next((output for output in contract.outputs if output.name == old.name), None)
    if new is None:
        yield f"output {old.name!r} was dropped or renamed"
        return
    if new.datatype != old.datatype:
        yield f"output {old.name!r} was {old.datatype} and is {new.datatype}"
    if len(new.shape) != len(old.shape):
        yield f"output {old.name!r} had {len(old.shape)} dimensions and has {len(new.shape)}"
    before, after = old.classes or (), new.classes or ()
    removed = [name for name in before if name not in after]
    if removed:
        yield f"output {old.name!r} no longer has the classes {', '.join(map(repr, removed))}"
    elif after[: len(before)] != before:
        yield f"output {old.name!r} has its classes in another order"
