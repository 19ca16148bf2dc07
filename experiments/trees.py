"""Tree ensembles as one ONNX TreeEnsemble node in double precision.

Single precision would round thresholds and leaves, and rows near a split would go the other way;
and forests, whose votes often tie exactly, would break ties another way than scikit-learn does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

LEAF = -1


@dataclass(frozen=True)
class Tree:
    """One tree as arrays over its nodes; node 0 is the root."""

    left: npt.NDArray[np.int64]
    """The node where values <= threshold go; LEAF at leaves."""
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    null_left: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    target: int
    """Which output the leaves' values are added to."""


def constant(value: float, target: int) -> Tree:
    """One leaf."""
    nothing = np.zeros(1, dtype=np.int64)
    leaf = np.full(1, LEAF, dtype=np.int64)
    return Tree(leaf, leaf, nothing, np.zeros(1), nothing.astype(bool), np.array([value]), target)


def of_boosting(model: Any) -> list[Tree]:
    """The baseline first and then tree by tree: the order in which scikit-learn adds."""
    trees = [constant(base, k) for k, base in enumerate(model._baseline_prediction.ravel())]
    for iteration in model._predictors:
        for target, predictor in enumerate(iteration):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                raise NotImplementedError("splits on sets of categories")
            inner = ~nodes["is_leaf"].astype(bool)
            trees.append(
                Tree(
                    left=np.where(inner, nodes["left"].astype(np.int64), LEAF),
                    right=np.where(inner, nodes["right"].astype(np.int64), LEAF),
                    feature=nodes["feature_idx"].astype(np.int64),
                    threshold=nodes["num_threshold"].astype(np.float64),
                    null_left=nodes["missing_go_to_left"].astype(bool),
                    value=nodes["value"].astype(np.float64),
                    target=target,
                )
            )
    return trees


def of_forest(model: Any) -> list[Tree]:
    """A tree for each class that has one, because a leaf adds to one output only."""
    return [
        Tree(
            left=fitted.children_left.astype(np.int64),
            right=fitted.children_right.astype(np.int64),
            feature=np.maximum(fitted.feature, 0).astype(np.int64),
            threshold=fitted.threshold.astype(np.float64),
            null_left=fitted.missing_go_to_left.astype(bool),
            value=fitted.value[:, 0, target].astype(np.float64),
            target=target,
        )
        for fitted in (estimator.tree_ for estimator in model.estimators_)
        for target in range(fitted.value.shape[2])
    ]


def thresholds(trees: Sequence[Tree]) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """By feature: the values at which some tree splits."""
    features = np.concatenate([tree.feature[tree.left != LEAF] for tree in trees])
    values = np.concatenate([tree.threshold[tree.left != LEAF] for tree in trees])
    for feature in np.unique(features):
        yield int(feature), np.unique(values[features == feature])


def node(trees: Sequence[Tree], source: str, output: str) -> onnx.NodeProto:
    """The sum of the trees' leaves: [n, features] in double to [n, targets] in double."""
    parts = [_Flat.of(tree) for tree in trees]
    nodes = np.cumsum([0, *(len(part.feature) for part in parts)])
    leaves = np.cumsum([0, *(len(part.value) for part in parts)])

    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    def side(name: str) -> tuple[list[int], list[int]]:
        """Positions among all inner nodes or all leaves, and which of the two."""
        positions, ends = [], []
        for part, first_node, first_leaf in zip(parts, nodes, leaves, strict=False):
            position, end = getattr(part, name)
            positions.append(position + np.where(end, first_leaf, first_node))
            ends.append(end)
        return np.concatenate(positions).tolist(), np.concatenate(ends).astype(int).tolist()

    (true_ids, true_leaves), (false_ids, false_leaves) = side("left"), side("right")
    targets_of = [part.target for part in parts for _ in part.value]
    return helper.make_node(
        "TreeEnsemble",
        [source],
        [output],
        domain="ai.onnx.ml",
        n_targets=1 + max(tree.target for tree in trees),
        aggregate_function=1,  # sum
        post_transform=0,  # none
        tree_roots=nodes[:-1].tolist(),
        nodes_featureids=joined("feature").tolist(),
        nodes_splits=numpy_helper.from_array(joined("threshold")),
        nodes_modes=numpy_helper.from_array(np.zeros(nodes[-1], dtype=np.uint8)),  # <=
        nodes_missing_value_tracks_true=joined("null_left").astype(int).tolist(),
        nodes_truenodeids=true_ids,
        nodes_trueleafs=true_leaves,
        nodes_falsenodeids=false_ids,
        nodes_falseleafs=false_leaves,
        leaf_targetids=targets_of,
        leaf_weights=numpy_helper.from_array(joined("value")),
    )


@dataclass(frozen=True)
class _Flat:
    """A tree with inner nodes and leaves numbered apart, as ONNX has them."""

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    null_left: npt.NDArray[np.bool_]
    left: tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]
    right: tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]
    value: npt.NDArray[np.float64]
    target: int

    @classmethod
    def of(cls, tree: Tree) -> "_Flat":
        leaf = tree.left == LEAF
        if leaf[0]:  # ONNX has no tree of one leaf: a split with the leaf on both sides is one
            both = (np.zeros(1, dtype=np.int64), np.ones(1, dtype=bool))
            return cls(
                tree.feature[:1], np.zeros(1), np.ones(1, dtype=bool), both, both,
                tree.value[:1], tree.target,
            )  # fmt: skip
        position = np.where(leaf, np.cumsum(leaf) - 1, np.cumsum(~leaf) - 1)
        left, right = tree.left[~leaf], tree.right[~leaf]
        return cls(
            feature=tree.feature[~leaf],
            threshold=tree.threshold[~leaf],
            null_left=tree.null_left[~leaf],
            left=(position[left], leaf[left]),
            right=(position[right], leaf[right]),
            value=tree.value[leaf],
            target=tree.target,
        )
