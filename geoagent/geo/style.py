"""Colours: the same target has the same colour in a picture, a raster's colour table and a map."""

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 57, 70),
    (29, 132, 222),
    (255, 183, 3),
    (6, 174, 120),
    (155, 93, 229),
    (251, 111, 25),
    (0, 187, 212),
    (241, 91, 181),
    (122, 170, 20),
    (141, 98, 72),
)
"""Distinct on vegetation, water, roofs and bare ground, and from each other for most colour-blind people."""


def target_colour(number: int) -> Colour:
    """Colour of the target with this number, from 1."""
    return PALETTE[(number - 1) % len(PALETTE)]
