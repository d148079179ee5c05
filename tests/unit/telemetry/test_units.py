import numpy as np
import pytest

from isocost import units


@pytest.mark.parametrize(
    ("convert", "given", "expected"),
    [
        (units.joules_from_mj, 1500, 1.5),
        (units.joules_from_uj, 1_028_850, 1.02885),
        (units.watts_from_mw, 412_500, 412.5),
        (units.watts_from_uw, 412_500, 0.4125),
    ],
)
def test_conversions(convert, given, expected):
    assert convert(given) == pytest.approx(expected, rel=1e-15)
    np.testing.assert_allclose(convert(np.array([given, given])), [expected, expected], rtol=1e-15)
