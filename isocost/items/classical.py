"""Classical item statistics of a subjects x items matrix.

Lives here: difficulty, point-biserial and rest-corrected discrimination, KR-20. Not here:
latent-trait models (irt.py). A subject is a measured configuration; entries are mean correctness in
[0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError

FloatArray = NDArray[np.float64]


def read_matrix(responses: ArrayLike) -> FloatArray:
    """Return the matrix after checking that it is subjects x items with every entry in [0, 1].

    Raises:
        IsocostError: not a matrix, empty, or an entry outside [0, 1] or NaN.
    """
    matrix = np.asarray(responses, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise IsocostError(
            f"responses have shape {matrix.shape}", remedy="Pass a matrix of subjects x items."
        )
    if not ((matrix >= 0) & (matrix <= 1)).all():
        raise IsocostError(
            "a response is unknown or outside [0, 1]",
            remedy="Keep only subjects that answered every item.",
        )
    return matrix


def difficulty(responses: ArrayLike) -> FloatArray:
    """Mean correctness of each item, shape (items,). High means easy.

    Examples:
        >>> R = [
        ...     [1, 1, 1, 1, 0],
        ...     [1, 1, 1, 0, 0],
        ...     [1, 1, 0, 0, 1],
        ...     [1, 0, 1, 0, 0],
        ...     [1, 0, 0, 0, 0],
        ...     [0, 0, 0, 0, 1],
        ... ]
        >>> difficulty(R).tolist()
        [0.833333, 0.5, 0.5, 0.166667, 0.333333]
    """
    return read_matrix(responses).mean(axis=0)


def point_biserial(responses: ArrayLike) -> FloatArray:
    """Pearson correlation of each item with the total score.

    NaN where an item or the total does not vary.

    Examples:
        >>> R = [
        ...     [1, 1, 1, 1, 0],
        ...     [1, 1, 1, 0, 0],
        ...     [1, 1, 0, 0, 1],
        ...     [1, 0, 1, 0, 0],
        ...     [1, 0, 0, 0, 0],
        ...     [0, 0, 0, 0, 1],
        ... ]
        >>> point_biserial(R).tolist()
        [0.53936, 0.904534, 0.603023, 0.6742, -0.213201]
    """
    matrix = read_matrix(responses)
    return _correlation(matrix, np.broadcast_to(matrix.sum(axis=1)[:, None], matrix.shape))


def rest_correlation(responses: ArrayLike) -> FloatArray:
    """Correlation of each item with the total of the other items.

    Free of the part-whole inflation of `point_biserial`.

    Examples:
        >>> R = [
        ...     [1, 1, 1, 1, 0],
        ...     [1, 1, 1, 0, 0],
        ...     [1, 1, 0, 0, 1],
        ...     [1, 0, 1, 0, 0],
        ...     [1, 0, 0, 0, 0],
        ...     [0, 0, 0, 0, 1],
        ... ]
        >>> rest_correlation(R).tolist()
        [0.23355, 0.727607, 0.185695, 0.415227, -0.547723]
    """
    matrix = read_matrix(responses)
    return _correlation(matrix, matrix.sum(axis=1)[:, None] - matrix)


def _correlation(left: FloatArray, right: FloatArray) -> FloatArray:
    a, b = left - left.mean(axis=0), right - right.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide(
        (a * b).sum(axis=0), scale, out=np.full(left.shape[1], np.nan), where=scale > 1e-12
    )


def kr20(responses: ArrayLike) -> float:
    """Reliability of the total score (Kuder and Richardson 1937, formula 20), population variances.

    Returns:
        I / (I - 1) x (1 - sum of item variances / variance of totals); for fractional entries this
        is Cronbach's alpha. NaN with one
        item or equal totals.

    Examples:
        >>> R = [
        ...     [1, 1, 1, 1, 0],
        ...     [1, 1, 1, 0, 0],
        ...     [1, 1, 0, 0, 1],
        ...     [1, 0, 1, 0, 0],
        ...     [1, 0, 0, 0, 0],
        ...     [0, 0, 0, 0, 1],
        ... ]
        >>> kr20(R)
        0.227273
    """
    matrix = read_matrix(responses)
    items = matrix.shape[1]
    spread = matrix.sum(axis=1).var()
    if items < 2 or spread <= 1e-12:
        return float("nan")
    return float(items / (items - 1) * (1 - matrix.var(axis=0).sum() / spread))
