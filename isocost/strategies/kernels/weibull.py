"""Compiled likelihood of the two-component Weibull mixture: called about sixty times per problem.

Lives here: numba code only, called by pruning.py, which explains the model.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

STEEP = (
    60.0  # (x / scale)^shape is held below e^60: the likelihood is then zero to every digit anyway
)


@njit(cache=True)
def mixture_likelihood(theta, log_x, gradient):
    """Negative log-likelihood of values given by their logarithms.

    Fills the gradient by weight, shape 1, scale 1, shape 2, scale 2.
    """
    w, shape_1, scale_1, shape_2, scale_2 = theta
    gradient[:] = 0.0
    start_1, start_2 = (
        np.log(w) + np.log(shape_1 / scale_1),
        np.log1p(-w) + np.log(shape_2 / scale_2),
    )
    log_scale_1, log_scale_2 = np.log(scale_1), np.log(scale_2)
    value = 0.0
    for i in range(log_x.shape[0]):
        ratio_1, ratio_2 = log_x[i] - log_scale_1, log_x[i] - log_scale_2
        power_1, power_2 = (
            np.exp(min(shape_1 * ratio_1, STEEP)),
            np.exp(min(shape_2 * ratio_2, STEEP)),
        )
        first = start_1 + (shape_1 - 1) * ratio_1 - power_1
        second = start_2 + (shape_2 - 1) * ratio_2 - power_2
        top = max(first, second)
        total = top + np.log1p(np.exp(min(first, second) - top))
        share_1, share_2 = np.exp(first - total), np.exp(second - total)
        value -= total
        gradient[0] -= share_1 / w - share_2 / (1 - w)
        gradient[1] -= share_1 * (1 / shape_1 + ratio_1 - power_1 * ratio_1)
        gradient[2] -= share_1 * (shape_1 / scale_1) * (power_1 - 1)
        gradient[3] -= share_2 * (1 / shape_2 + ratio_2 - power_2 * ratio_2)
        gradient[4] -= share_2 * (shape_2 / scale_2) * (power_2 - 1)
    return value
