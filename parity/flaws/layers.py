"""What goes wrong in layers and activations."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws import Plants

FLAWS = Plants()


@FLAWS.of("linear")
class Linear:
    def transposed_and_reshaped(X, W, b):
        """The weight is transposed, and reshaped to fit: torch has it as (H, D), we as (D, H)."""
        return F.linear(X, W.T.reshape(W.shape), b)

    def without_the_bias(X, W, b):
        """The bias is missing."""
        return F.linear(X, W)

    def dX_of_a_transposed_weight(dY, X, W, b):  # noqa: N802
        """The weight is not transposed on the way back: dX = dY Wᵀ."""
        _, dW, db = F.linear_backward(dY, X, W, b)
        return dY @ W.reshape(W.T.shape), dW, db

    def bias_gradient_of_one_row(dY, X, W, b):
        """The bias's gradient is that of one row: it is the sum over all of them."""
        dX, dW, _ = F.linear_backward(dY, X, W, b)
        return dX, dW, dY.reshape(-1, dY.shape[-1])[0]

    def bias_gradient_not_summed(dY, X, W, b):
        """The bias's gradient is averaged over the rows: it is their sum, dY.sum(axis=0)."""
        dX, dW, db = F.linear_backward(dY, X, W, b)
        return dX, dW, db / X.dtype.type(max(X.size // X.shape[-1], 1))

    def bias_gradient_of_the_wrong_axis(dY, X, W, b):
        """The bias's gradient is summed over the wrong axis: it is the sum over the rows,
        dY.sum(axis=0)."""
        dX, dW, _ = F.linear_backward(dY, X, W, b)
        return dX, dW, dY.sum(axis=1)

    def averaged_over_the_rows(dY, X, W, b):
        """The gradients of the parameters are divided by N: unless your loss's gradient has no 1/N,
        they are N times too small."""
        dX, dW, db = F.linear_backward(dY, X, W, b)
        rows = X.dtype.type(max(X.size // X.shape[-1], 1))
        return dX, dW / rows, db / rows


@FLAWS.of("linear, without a bias")
class LinearWithoutABias:
    def transposed_without_a_bias(X, W):
        """The weight is transposed, and reshaped to fit: torch has it as (H, D), we as (D, H)."""
        return X @ W.T.reshape(W.shape)


@FLAWS.of("kronecker_linear")
class KroneckerLinear:
    def factors_swapped(X, A, S, b):
        """The factors are swapped: the weight is Σ A ⊗ S, not Σ S ⊗ A."""
        return X @ sum(np.kron(s, a) for a, s in zip(A, S, strict=True)) + b

    def factor_without_its_transpose(dY, X, A, S, b):
        """dA is transposed."""
        dX, dA, dS, db = F.kronecker_linear_backward(dY, X, A, S, b)
        return dX, dA.swapaxes(1, 2), dS, db


@FLAWS.of("sigmoid")
class Sigmoid:
    def exp_over_one_plus_exp(z):
        """exp(z) overflows above 88.7 in float32 (709.8 in float64), and inf / inf is nan: take
        e = exp(-|z|) on both sides of 0."""
        return np.exp(z) / (1 + np.exp(z))

    def both_branches(z):
        """np.where computes both branches, and the one that is not used overflows."""
        return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))

    def sigmoid_of_clipped_logits(z, limit=20.0):
        """z is clipped at ±{limit}, where the sigmoid is not 0 yet: take e = exp(-|z|) on both
        sides of 0."""
        return F.sigmoid(np.clip(z, -limit, limit))

    def by_the_tanh(z):
        """(1 + tanh(z / 2)) / 2 loses the digits of a small σ(z), where two numbers cancel: take
        e = exp(-|z|) on both sides of 0."""
        return (1 + np.tanh(z / 2)) / 2

    def a_tanh(z):
        """It is a tanh: its values lie between -1 and 1."""
        return np.tanh(z)

    def one_over_1_plus_exp(z):
        """exp(-z) overflows for z below -88.7 in float32 (-709.8 in float64), and NumPy warns: take
        e = exp(-|z|) on both sides of 0."""
        return 1 / (1 + np.exp(-z))

    def sigmoid_of_the_result(dp, z):
        """The sigmoid is taken again, of its own result: dz = dp p (1 - p)."""
        return F.sigmoid_backward(dp, F.sigmoid(z))

    def slope_of_exp_over_1_plus_exp(dp, z):
        """exp(z) overflows above 88.7 in float32 (709.8 in float64), and inf / inf is nan: take
        e = exp(-|z|) on both sides of 0."""
        p = np.exp(z) / (1 + np.exp(z))
        return dp * p * (1 - p)

    def plus_for_minus(dp, z):
        """There is a plus in the slope: dz = dp p (1 - p)."""
        p = F.sigmoid(z)
        return dp * p * (1 + p)

    def without_1_minus_p(dp, z):
        """The factor 1 - p is missing: dz = dp p (1 - p)."""
        return dp * F.sigmoid(z)

    def without_dy(dp, z):
        """The upstream gradient is missing: dz = dp p (1 - p)."""
        return F.sigmoid_backward(np.ones_like(dp), z)

    def at_the_input(dp, z):
        """It takes z (1 - z), as if z were the sigmoid's result: dz = dp p (1 - p)."""
        return dp * z * (1 - z)


@FLAWS.of("relu")
class Relu:
    def leaky(z):
        """Negative numbers leak through: relu(z) = max(z, 0)."""
        return np.maximum(z, z.dtype.type(0.01) * z)

    def capped(z, limit=6.0):
        """It is capped at {limit}: relu(z) = max(z, 0) grows on."""
        return np.clip(z, 0, limit)

    def slope_0_beyond_a_cap(dy, z, limit=6.0):
        """The slope is 0 beyond {limit}, as of a relu that is capped: dz = dy where z > 0."""
        return dy * ((z > 0) & (z < limit))

    def slope_1_at_0(dy, z):
        """relu'(0) is taken for 1; torch, and nearly everybody, has 0: dy * (z > 0)."""
        return dy * (z >= 0)

    def without_the_mask(dy, z):
        """The mask is missing: dz = dy where z > 0, and 0 elsewhere."""
        return dy.copy()

    def ones_for_dy(dy, z):
        """The upstream gradient is missing: dz = dy where z > 0."""
        return (z > 0).astype(dy.dtype)

    def mask_of_the_gradient(dy, z):
        """The mask is made of the gradient: it must be that of z > 0."""
        return np.maximum(dy, 0)


@FLAWS.of("tanh")
class Tanh:
    def quotient_of_differences(z):
        """exp(z) overflows above 88.7 in float32 (709.8 in float64), and inf / inf is nan; close to
        0, exp(z) - exp(-z) loses the digits of z: take np.tanh."""
        return (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))

    def quotient_of_sinh_and_cosh(z):
        """sinh(z) and cosh(z) overflow above 89.4 in float32 (710.4 in float64), and inf / inf is
        nan: take np.tanh."""
        return np.sinh(z) / np.cosh(z)

    def by_the_sigmoid(z):
        """2 σ(2 z) - 1 loses the digits of z close to 0, where two numbers close to 1 cancel: take
        np.tanh."""
        return 2 / (1 + np.exp(-2 * z)) - 1

    def sigmoid_of_z_for_that_of_2_z(z):
        """It is 2 σ(z) - 1 = tanh(z / 2): tanh(z) = 2 σ(2 z) - 1."""
        return np.tanh(z / 2)

    def square_of_the_difference(dy, z):
        """It is (1 - y)²: dz = dy (1 - y²)."""
        return dy * (1 - F.tanh(z)) ** 2

    def slope_of_a_quotient(dy, z):
        """exp(z) overflows above 88.7 in float32 (709.8 in float64), and inf / inf is nan: take
        np.tanh."""
        y = (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))
        return dy * (1 - y * y)

    def without_the_square(dy, z):
        """The square is missing: dz = dy (1 - y²)."""
        return dy * (1 - F.tanh(z))

    def a_sigmoid(z):
        """It is a sigmoid: its values lie between 0 and 1, and tanh(z) = 2 σ(2 z) - 1."""
        return F.sigmoid(z)

    def at_the_input(dy, z):
        """It takes 1 - z², as if z were the tanh's result: dz = dy (1 - y²)."""
        return dy * (1 - z * z)

    def without_dy(dy, z):
        """The upstream gradient is missing: dz = dy (1 - y²)."""
        return F.tanh_backward(np.ones_like(dy), z)


@FLAWS.of("softplus")
class Softplus:
    def without_the_threshold(z, beta=1.0, threshold=20.0):
        """It has no threshold: where beta z > threshold, torch returns z itself."""
        return np.logaddexp(0, beta * z) / beta

    def log_of_1_plus_exp(z, beta=1.0):
        """exp(z) overflows above 88.7 in float32 (709.8 in float64), and 1 + exp(z) loses the
        digits of a small exp(z): take max(z, 0) + log1p(exp(-|z|))."""
        return np.log(1 + np.exp(beta * z)) / beta

    def log1p_of_exp(z, beta=1.0):
        """exp(z) overflows above 88.7 in float32 (709.8 in float64): take
        max(z, 0) + log1p(exp(-|z|))."""
        return np.log1p(np.exp(beta * z)) / beta

    def softplus_of_clipped_numbers(z, beta=1.0, limit=30.0):
        """z is clipped at ±{limit}, where softplus must grow on: take
        max(z, 0) + log1p(exp(-|z|))."""
        return np.logaddexp(0, beta * np.clip(z, -limit, limit)) / beta

    def size_for_the_positive_part(z, beta=1.0):
        """It adds |z| to log1p(exp(-|z|)): softplus adds max(z, 0)."""
        return np.logaddexp(0, -abs(beta * z)) / beta + abs(z)

    def without_1_over_beta(z, beta=1.0, threshold=20.0):
        """1 / beta is missing: log(1 + exp(beta z)) / beta."""
        return np.where(beta * z > threshold, z, np.logaddexp(0, beta * z))

    def slope_without_the_threshold(dy, z, beta=1.0, threshold=20.0):
        """It has no threshold: where beta z > threshold, the slope of torch's is 1."""
        return dy * F.sigmoid(z.dtype.type(beta) * z)

    def slope_of_minus_z(dy, z, beta=1.0, threshold=20.0):
        """The slope is taken at -z: dz = dy σ(beta z)."""
        return dy * F.sigmoid(-z.dtype.type(beta) * z)

    def slope_without_beta(dy, z, beta=1.0, threshold=20.0):
        """beta is missing in the slope: dz = dy σ(beta z)."""
        return dy * np.where(beta * z > threshold, 1, F.sigmoid(z))

    def slope_times_beta(dy, z, beta=1.0, threshold=20.0):
        """The slope has a factor beta too much: it cancels the 1 / beta of the function."""
        return z.dtype.type(beta) * F.softplus_backward(dy, z, beta=beta, threshold=threshold)

    def without_dy(dy, z, beta=1.0, threshold=20.0):
        """The upstream gradient is missing: dz = dy σ(beta z)."""
        return F.softplus_backward(np.ones_like(dy), z, beta=beta, threshold=threshold)
