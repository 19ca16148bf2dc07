"""Small real models of a made-up table, logged as training logs them."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from registry import versions
from registry.artifact import FOLDER, Golden, Identity, Interval, Parity
from registry.contract import Contract

TARGET = "price"
COLUMNS = ("area", "rooms", "age", "district", "lot")
TYPES = {"rooms": DataType.long, "district": DataType.string}
HOLDOUT = 400


@dataclass(frozen=True)
class Recipe:
    """How one version is trained, and what is wrong with it."""

    columns: tuple[str, ...] = COLUMNS
    model: RegressorMixin = field(default_factory=lambda: Ridge(alpha=0.1))
    dirty: bool = False
    seed: int = 2
    """Of the hold-out rows."""
    skewed_graph: float | None = None
    """Compile a graph whose answers are this factor of the pipeline's, golden rows included."""


RECIPES = {
    "first": Recipe(model=Ridge(alpha=300)),
    "better": Recipe(),
    "better on new rows": Recipe(seed=3),
    "worse": Recipe(model=Ridge(alpha=3000)),
    "leaking": Recipe(columns=(*COLUMNS, "price_eur")),
    "breaking": Recipe(columns=("area", "rooms", "age", "district")),
    "dirty": Recipe(dirty=True),
    "slow": Recipe(model=RandomForestRegressor(150, max_depth=3, n_jobs=1, random_state=0)),
    "differing": Recipe(skewed_graph=1.001),
}


def table(rows: int, seed: int) -> pd.DataFrame:
    """Flats with a price that area, rooms, age and district explain but for some noise."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "area": rng.uniform(30, 200, rows).round(1),
            "rooms": rng.integers(1, 7, rows),
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.uniform(0, 90, rows).round()),
            "district": rng.choice(["north", "south", "west"], rows),
            "lot": rng.uniform(0, 1, rows).round(3),
        }
    )
    worth = made["district"].map({"north": 0.0, "south": 60.0, "west": 120.0})
    price = 3 * made["area"] + 15 * made["rooms"] - made["age"].fillna(45) + worth
    made[TARGET] = (price + rng.normal(0, 15, rows) + 100).clip(lower=20).round(2)
    made["price_eur"] = (made[TARGET] * 0.92).round(2)
    return made


def publish(
    client: MlflowClient, name: str, recipe: Recipe, *, slices: Sequence[str] = ("district",)
) -> int:
    """Train, log and register one version."""
    columns = list(recipe.columns)
    train, held = table(600, seed=1), table(HOLDOUT, seed=recipe.seed)
    pipeline = _pipeline(columns, recipe.model).fit(train[columns], train[TARGET])
    known = client.get_experiment_by_name(name)
    # Not set_experiment, which stays set for whatever this process starts.
    experiment = known.experiment_id if known else client.create_experiment(name)
    with (
        mlflow.start_run(experiment_id=experiment) as run,
        tempfile.TemporaryDirectory() as scratch,
    ):
        folder = Path(scratch)
        mlflow.log_param("target", TARGET)
        mlflow.set_tag("assay.slices", json.dumps(list(slices)))
        rows = folder / "rows.parquet"
        held[[*columns, TARGET]].to_parquet(rows)
        digest = hashlib.sha256(rows.read_bytes()).hexdigest()
        mlflow.set_tag("assay.holdout_digest", digest)
        mlflow.log_artifact(str(rows), "holdout")
        signature = ModelSignature(
            Schema([_column(column) for column in columns]),
            Schema([ColSpec(DataType.double, "prediction")]),
        )
        info = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            serialization_format="skops",
            skops_trusted_types=["numpy.dtype", "sklearn.tree._tree.Tree"],
            signature=signature,
            pip_requirements=[
                f"{each}=={version(each)}" for each in ("mlflow", "scikit-learn", "skops", "pandas")
            ],
        )
        own = folder / FOLDER
        own.mkdir()
        contract = Contract.compile(signature.to_dict(), "regression")
        identity = Identity(
            model_name=name,
            run_id=run.info.run_id,
            git_commit="a" * 40,
            git_dirty=recipe.dirty,
            metric="rmse",
            holdout=Interval(value=1, low=1, high=1),
            holdout_rows=HOLDOUT,
            data_digest=digest,
        )
        _own_files(own, recipe, pipeline, contract, held)
        (own / "contract.json").write_text(contract.model_dump_json())
        (own / "identity.json").write_text(identity.model_dump_json())
        client.log_model_artifacts(info.model_id, str(own), FOLDER)
    return versions.register(client, name, info.model_id, run.info.run_id, "Ranking of training.")


def _column(name: str) -> ColSpec:
    return ColSpec(TYPES.get(name, DataType.double), name, required=name != "age")


def _pipeline(columns: list[str], model: RegressorMixin) -> Pipeline:
    words = [column for column in columns if column == "district"]
    numbers = [column for column in columns if column not in words]
    prepare = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )
    return Pipeline([("prepare", prepare), ("model", model)])


def _own_files(
    own: Path, recipe: Recipe, pipeline: Pipeline, contract: Contract, held: pd.DataFrame
) -> None:
    rows = held[list(recipe.columns)].head(20)
    answers = pipeline.predict(rows)
    parity = Parity(engine="pyfunc", reason="no graph was made", tolerance=0)
    if recipe.skewed_graph is not None:
        answers = answers * recipe.skewed_graph
        (own / "model.onnx").write_bytes(_graph(pipeline, contract, recipe.skewed_graph))
        parity = Parity(engine="onnx", reason="so it is claimed", tolerance=1e-5)
    documents = rows.astype(object).where(rows.notna(), None).to_dict("records")
    golden = Golden(
        rows=tuple(documents),
        outputs={"prediction": answers.tolist()},
        actual=tuple(held[TARGET].head(20)),
    )
    (own / "golden.json").write_text(golden.model_dump_json())
    (own / "parity.json").write_text(parity.model_dump_json())


def _graph(pipeline: Pipeline, contract: Contract, factor: float) -> bytes:
    """The linear pipeline by hand: impute, encode, multiply, add, and be wrong by the factor."""
    prepare, model = pipeline.named_steps["prepare"], pipeline.named_steps["model"]
    kinds = {"long": TensorProto.INT64, "string": TensorProto.STRING, "double": TensorProto.DOUBLE}
    nodes, parts, initial = [], [], []
    numbers = list(prepare.transformers_[0][2])
    for column in numbers:
        nodes.append(helper.make_node("Cast", [column], [f"{column}_d"], to=TensorProto.DOUBLE))
        fill = prepare.named_transformers_["numbers"].statistics_[numbers.index(column)]
        initial.append(numpy_helper.from_array(np.array(fill), f"{column}_fill"))
        nodes.append(helper.make_node("IsNaN", [f"{column}_d"], [f"{column}_nan"]))
        whole = [f"{column}_nan", f"{column}_fill", f"{column}_d"]
        nodes.append(helper.make_node("Where", whole, [f"{column}_full"]))
        parts.append(f"{column}_full")
    for index, value in enumerate(prepare.named_transformers_["words"].categories_[0]):
        initial.append(numpy_helper.from_array(np.array([value], dtype=object), f"is_{index}"))
        nodes.append(helper.make_node("Equal", ["district", f"is_{index}"], [f"eq_{index}"]))
        nodes.append(
            helper.make_node("Cast", [f"eq_{index}"], [f"hot_{index}"], to=TensorProto.DOUBLE)
        )
        parts.append(f"hot_{index}")
    nodes.append(helper.make_node("Concat", parts, ["features"], axis=1))
    initial.append(numpy_helper.from_array(model.coef_[:, None] * factor, "weights"))
    initial.append(numpy_helper.from_array(np.array(model.intercept_ * factor), "bias"))
    initial.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat"))
    nodes.append(helper.make_node("MatMul", ["features", "weights"], ["product"]))
    nodes.append(helper.make_node("Add", ["product", "bias"], ["sum"]))
    nodes.append(helper.make_node("Reshape", ["sum", "flat"], ["prediction"]))
    made = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(c.name, kinds[c.type], [None, 1]) for c in contract.columns],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, [None])],
        initial,
    )
    model_proto = helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model_proto)
    data: bytes = model_proto.SerializeToString()
    return data
