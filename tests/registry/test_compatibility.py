"""Which changes of a contract its clients would trip over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.compatibility import breaking
from registry.contract import Column, Contract, Output

PREDICTION = Output(name="prediction", datatype="BYTES", shape=(-1,))
PROBABILITY = Output(name="probability", datatype="FP64", shape=(-1, 3), classes=("a", "b", "c"))
AREA = Column(name="area", type="double", nullable=False, limit=1000)
ROOMS = Column(name="rooms", type="long", nullable=False)
NOTE = Column(name="note", type="string", nullable=True)


def contract(*columns: Column, outputs: tuple[Output, ...] = (PREDICTION, PROBABILITY)) -> Contract:
    return Contract(task="multiclass", columns=columns or (AREA, ROOMS, NOTE), outputs=outputs)


def changed(column: Column, **changes: object) -> Contract:
    columns = [AREA, ROOMS, NOTE]
    columns[columns.index(column)] = column.model_copy(update=changes)
    return contract(*columns)


def classes(*names: str) -> Contract:
    shape = (-1, len(names))
    probability = PROBABILITY.model_copy(update={"classes": names, "shape": shape})
    return contract(outputs=(PREDICTION, probability))


COMPATIBLE = {
    "the same": contract(),
    "columns in another order": contract(NOTE, ROOMS, AREA),
    "a nullable column more": contract(
        AREA, ROOMS, NOTE, Column(name="new", type="double", nullable=True)
    ),
    "a column that may now be null": changed(AREA, nullable=True),
    "long to double": changed(ROOMS, type="double"),
    "a larger limit": changed(AREA, limit=2000),
    "no limit": changed(AREA, limit=None),
    "other categories": changed(NOTE, categories=("x", "y")),
    "a class more": classes("a", "b", "c", "d"),
    "an output more": contract(
        outputs=(PREDICTION, PROBABILITY, Output(name="x", datatype="FP64", shape=(-1,)))
    ),
}
BREAKING = {
    "a column dropped": (contract(AREA, ROOMS), "column 'note' was dropped"),
    "a column renamed": (changed(NOTE, name="text"), "column 'note' was dropped"),
    "a column retyped": (changed(NOTE, type="double"), "column 'note' was string and is double"),
    "double to long": (changed(AREA, type="long"), "column 'area' was double and is long"),
    "no longer nullable": (
        changed(NOTE, nullable=False),
        "column 'note' could be null and can not",
    ),
    "a smaller limit": (
        changed(AREA, limit=10),
        "column 'area' took up to 1000 and takes up to 10",
    ),
    "a limit at all": (
        changed(ROOMS, limit=10),
        "column 'rooms' took any number and takes up to 10",
    ),
    "a column that must be sent": (
        contract(AREA, ROOMS, NOTE, Column(name="new", type="long", nullable=False)),
        "column 'new' is new and must be sent",
    ),
    "an output renamed": (
        contract(outputs=(PREDICTION.model_copy(update={"name": "label"}), PROBABILITY)),
        "output 'prediction' was dropped or renamed",
    ),
    "an output dropped": (
        contract(outputs=(PREDICTION,)),
        "output 'probability' was dropped or renamed",
    ),
    "an output retyped": (
        contract(outputs=(PREDICTION.model_copy(update={"datatype": "INT64"}), PROBABILITY)),
        "output 'prediction' was BYTES and is INT64",
    ),
    "an output of another rank": (
        contract(outputs=(PREDICTION.model_copy(update={"shape": (-1, 1)}), PROBABILITY)),
        "output 'prediction' had 1 dimensions and has 2",
    ),
    "a class removed": (
        classes("a", "c"),
        "output 'probability' no longer has the classes 'b'",
    ),
    "classes moved": (
        classes("b", "a", "c"),
        "output 'probability' has its classes in another order",
    ),
    "a class squeezed in": (
        classes("a", "aa", "b", "c"),
        "output 'probability' has its classes in another order",
    ),
    "another task": (
        contract().model_copy(update={"task": "binary"}),
        "the task was multiclass and is binary",
    ),
}


@pytest.mark.parametrize("new", COMPATIBLE.values(), ids=COMPATIBLE.keys())
def test_clients_go_on(new: Contract) -> None:
    assert breaking(contract(), new) == ()


@pytest.mark.parametrize(("new", "problem"), BREAKING.values(), ids=BREAKING.keys())
def test_clients_break(new: Contract, problem: str) -> None:
    assert problem in breaking(contract(), new)


types = st.sampled_from(["boolean", "integer", "long", "float", "double", "string", "datetime"])
columns = st.lists(
    st.builds(
        Column,
        name=st.sampled_from("abcd"),
        type=types,
        nullable=st.booleans(),
        limit=st.none() | st.floats(1, 100),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda column: column.name,
)
contracts = columns.map(lambda made: contract(*made))


@given(contracts)
def test_nothing_breaks_against_itself(one: Contract) -> None:
    assert breaking(one, one) == ()


@given(contracts, contracts, contracts)
def test_compatibility_carries_over(one: Contract, two: Contract, three: Contract) -> None:
    """What works with the next contract and the one after it works across both."""
    if not breaking(one, two) and not breaking(two, three):
        assert breaking(one, three) == ()
