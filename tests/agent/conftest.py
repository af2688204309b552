import pytest
from world import NEW_TANK, TANKS, ids_by_name, make_scene, toolbox_of


@pytest.fixture
def toolbox(tmp_path):
    """Two dates of one place, and a photo without a place."""
    return toolbox_of(
        tmp_path,
        make_scene("before"),
        make_scene("later", (*TANKS[1:], NEW_TANK)),
        make_scene("photo", TANKS[:2], placed=False),
    )


@pytest.fixture
def images(toolbox):
    return ids_by_name(toolbox)


@pytest.fixture
def tanks(toolbox, images):
    """The mask id of the tanks of the earlier date."""
    return toolbox.segment(images["before"], "storage tanks").answer["found"][0]["mask_id"]


@pytest.fixture
def river(toolbox, images):
    return toolbox.segment(images["before"], "the river").answer["found"][0]["mask_id"]
