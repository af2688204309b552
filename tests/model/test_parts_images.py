"""Parts that work on images: token compression and the interaction of SAM2's feature maps."""

import pytest
import torch
from tiny import shake

from geoagent.model.compression import TokenCompression
from geoagent.model.interaction import FeatureInteraction
from geoagent.model.sam import SamFeatures


@pytest.mark.parametrize(("grid", "smaller"), [((16, 16), (4, 4)), ((17, 9), (5, 3)), ((3, 4), (1, 1))])
def test_compression_keeps_a_sixteenth_of_the_tokens(grid, smaller):
    assert TokenCompression(12, 8)(torch.zeros(*grid, 12)).shape == (*smaller, 12)


@torch.no_grad()
def test_a_compressed_token_sees_its_surroundings_only():
    """Two convolutions of stride 2: token i sees rows 4i − 3 to 4i + 3."""
    part = TokenCompression(12, 8)
    tokens = torch.randn(16, 16, 12, generator=torch.Generator().manual_seed(0))
    before = part(tokens)
    for row, seen_by in ((3, [0, 1]), (4, [1]), (5, [1, 2])):
        moved = tokens.clone()
        moved[row] += torch.arange(12)
        changed = (part(moved) - before).abs().sum(dim=(1, 2)) > 1e-6
        assert torch.nonzero(changed).flatten().tolist() == seen_by


def features(batch=2):
    generator = torch.Generator().manual_seed(0)
    return SamFeatures(*(torch.randn(batch, c, s, s, generator=generator) for c, s in ((4, 32), (8, 16), (32, 8))))


@torch.no_grad()
def test_interaction_starts_as_nothing():
    before = features()
    after = FeatureInteraction((4, 8, 32), 8, 4)(before)
    for old, new in zip(before.levels, after.levels, strict=True):
        assert torch.equal(old, new)


@torch.no_grad()
def test_every_scale_hears_of_every_other_but_not_of_other_images():
    part = shake(FeatureInteraction((4, 8, 32), 8, 4))
    before = features()
    after = part(before)
    for source in range(3):
        levels = [level.clone() for level in before.levels]
        levels[source][0, :, 0, 0] += 5
        changed = part(SamFeatures(*levels))
        for old, new in zip(after.levels, changed.levels, strict=True):
            far = (slice(0, 1), slice(None), slice(old.shape[2] // 2, None))
            assert (old[far] - new[far]).abs().max() > 1e-6
            torch.testing.assert_close(old[1], new[1])


@torch.no_grad()
def test_maps_of_other_sizes_fit():
    part = FeatureInteraction((4, 8, 32), 8, 4)
    found = part(SamFeatures(torch.zeros(1, 4, 24, 24), torch.zeros(1, 8, 12, 12), torch.zeros(1, 32, 6, 6)))
    assert [tuple(level.shape[-2:]) for level in found.levels] == [(24, 24), (12, 12), (6, 6)]
