"""The cases that are drawn hold what implementations get wrong."""

import numpy as np
import pytest
from hypothesis import HealthCheck, find, settings

from parity import right
from parity.ops import OPS
from parity.search.sides import judge

QUIET = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("op", ["kl_div", "cross_entropy, probabilities"])
def test_distributions_have_zeros_and_one_hot_rows(op):
    def is_one_hot(case):
        target = case["target"]
        return not case.get("log_target") and target.ndim == 2 and target.shape[1] > 1 and bool(
            (np.count_nonzero(target, axis=1) == 1).all()
        )  # fmt: skip

    def has_zeros(case):
        target = case["target"]
        return bool(0 < np.count_nonzero(target == 0) < target.size) and not is_one_hot(case)

    for wanted in (is_one_hot, has_zeros):
        find(OPS[op].cases(np.float64), wanted, settings=QUIET)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum", "batchmean"])
def test_kl_div_has_a_right_answer_at_zero(reduction, dtype):
    """torch agrees: the loss is 0 there, and the target's slope NaN."""
    case = {
        "log_q": np.log(np.array([[0.5, 0.25, 0.25]], dtype)),
        "target": np.array([[0, 0, 1]], dtype), "reduction": reduction, "log_target": False,
    }  # fmt: skip
    assert np.isfinite(np.asarray(right.value(OPS["kl_div"], case)).astype(float)).all()
    assert np.isfinite(right.value_bound(OPS["kl_div"], case)).all()
    for verdict in judge(OPS["kl_div"], case):
        assert verdict.holds, verdict
