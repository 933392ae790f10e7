import numpy as np
import pytest

from unmask.restore.chain import Chain


@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 200), (200, 15)])
def test_a_tiny_picture_comes_back_with_the_reason(height, width):
    picture = np.full((height, width, 3), 90, np.uint8)
    restored = Chain({}, 64).restore(picture)
    np.testing.assert_array_equal(restored.picture, picture)
    (face,) = restored.faces
    assert face.status == "skipped"
    assert f"{width} x {height} pixels" in face.reason
