"""Results as a picture: a bar for each endpoint's ratio, and a line for what it must reach."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bench.results import Results, Row, rows_of

SCALE = 2  # drawn larger than it is shown, for sharp text on dense screens
ROW, LEFT, WIDTH, RIGHT, TOP, BOTTOM = (SCALE * size for size in (26, 200, 520, 110, 64, 44))
PAPER, INK, FAINT, REACHED, MISSED, PLAIN = "#ffffff", "#1f2933", "#d5dbe1", "#2f7d4f", "#c0392b", "#6b8fb3"
STEPS = 6
LARGEST = 1.2  # what is longer ends at the edge


def draw(results: Results, path: Path) -> None:
    """
    Draw the ratios.

    Args:
        results: What was measured.
        path: Of the PNG file.
    """
    rows = [row for row in rows_of(results) if row.ratios]
    image = Image.new("RGB", (LEFT + WIDTH + RIGHT, TOP + ROW * len(rows) + BOTTOM), PAPER)
    pen = ImageDraw.Draw(image)
    told = results["conditions"]
    title = f"Post Service's rate as a part of its limit's: {told['posts']:,} posts, {told['kind']}"
    pen.text((SCALE * 16, SCALE * 18), title, fill=INK, font=_font(15))
    _draw_scale(pen, bottom=TOP + ROW * len(rows))
    for index, row in enumerate(rows):
        _draw_row(pen, row, top=TOP + ROW * index)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(SCALE * size)


def _shown(row: Row) -> tuple[float, str]:
    """Return the ratio that a row is judged by, and what it is of where that is not the raw driver."""
    of = row.endpoint.bar.of if row.endpoint.bar and row.endpoint.bar.of in row.ratios else next(iter(row.ratios))
    name = row.endpoint.reference(of)
    return row.ratios[of], "" if name == "limit" else f" of {name}"


def _draw_scale(pen: ImageDraw.ImageDraw, *, bottom: int) -> None:
    for step in range(STEPS + 1):
        x = LEFT + WIDTH * step / STEPS
        pen.line([(x, TOP - SCALE * 4), (x, bottom)], fill=FAINT, width=SCALE)
        pen.text((x, bottom + SCALE * 8), f"{LARGEST * step / STEPS:.1f}", fill=INK, font=_font(11), anchor="mt")


def _draw_row(pen: ImageDraw.ImageDraw, row: Row, *, top: int) -> None:
    ratio, of = _shown(row)
    middle = top + ROW // 2
    colour = {True: REACHED, False: MISSED, None: PLAIN}[row.is_reached]
    end = LEFT + WIDTH * min(1.0, ratio / LARGEST)
    pen.text((LEFT - SCALE * 8, middle), row.endpoint.title, fill=INK, font=_font(12), anchor="rm")
    pen.rectangle([(LEFT, top + SCALE * 4), (end, top + ROW - SCALE * 4)], fill=colour)
    bar = row.endpoint.bar
    needed = LEFT + WIDTH * bar.at_least / LARGEST if bar else LEFT
    if bar:
        pen.line([(needed, top + SCALE), (needed, top + ROW - SCALE)], fill=INK, width=SCALE * 2)
    pen.text((max(end, needed) + SCALE * 6, middle), f"{ratio:.2f}{of}", fill=INK, font=_font(12), anchor="lm")
