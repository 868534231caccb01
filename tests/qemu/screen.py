"""Reads what the image shows on a framebuffer out of a screenshot: the text, by comparing
every cell with the build's font, and the bar. Knows lib/fbcon.c's layout from its header
comment only: margins, size of a cell, where the bar is."""

import re
from dataclasses import dataclass

import png
import tools

WIDTH, HEIGHT = 8, 16  # of a glyph
MARGIN, BAR_GAP, BAR_INSET, PERCENT_CHARS = 8, 8, 3, 5
COLUMNS_MAX, ROWS_MAX = 160, 64
INK = 0x60  # of a colour: between the background and the letters
TEXT_MODE_PA, TEXT_COLUMNS, TEXT_ROWS = 0xb8000, 80, 25
BLOCK, DOTS = 0xdb, 0xb0  # code page 437
TEXT_BAR = 75  # columns


def font():
    """The glyphs of the build's font as tuples of 16 lines."""
    text = (tools.BUILD / "font.c").read_text()
    rows = [tuple(int(value, 16) for value in re.findall(r"0x..", line))
            for line in text.splitlines() if line.startswith("\t{")]
    return {glyph: chr(ord(" ") + i) for i, glyph in enumerate(rows)}


@dataclass(frozen=True)
class Screen:
    width: int
    height: int
    rows: tuple  # of text, without blanks at the end; the last ones may be empty
    permille: int | None  # that the bar shows; None: there is none
    percent: str

    def words(self):
        return " ".join(self.rows).split()


def take(machine):
    """QEMU's picture of the screen, as it writes it."""
    file = machine.folder / "screen.ppm"
    machine.qmp.command("screendump", filename=str(file))
    return file.read_bytes()


def layout(width, height):
    """Scale, columns and rows of the text."""
    scale = 1

    def columns():
        return width // (WIDTH * scale) - 2 * MARGIN // WIDTH

    def rows():
        return (height // scale - 2 * MARGIN - BAR_GAP - HEIGHT) // HEIGHT
    while columns() > COLUMNS_MAX or rows() > ROWS_MAX:
        scale += 1
    return scale, columns(), rows()


def read(ppm):
    """What a picture of the screen shows."""
    width, height, lines = png.lines(ppm)
    scale, columns, rows = layout(width, height)
    glyphs = font()

    def ink(x, y):
        return lines[y][3 * x] > INK

    def cell(x, y):
        half = scale // 2
        return glyphs.get(tuple(
            sum(ink(x + bit * scale + half, y + line * scale + half) << 7 - bit
                for bit in range(WIDTH)) for line in range(HEIGHT)), "\0")

    def text(x, y, count):
        return "".join(cell(x + i * WIDTH * scale, y) for i in range(count)).rstrip()

    left = top = MARGIN * scale
    bar_y = top + (rows * HEIGHT + BAR_GAP) * scale
    bar_width = (columns - PERCENT_CHARS) * WIDTH * scale
    first, end = left + BAR_INSET * scale, left + bar_width - BAR_INSET * scale
    middle = lines[bar_y + HEIGHT // 2 * scale]
    blue = [middle[3 * x + 2] > INK for x in range(first, end)]
    framed = middle[3 * left + 2] > INK
    return Screen(width, height,
                  tuple(text(left, top + row * HEIGHT * scale, columns) for row in range(rows)),
                  round(1000 * blue.index(False) / len(blue)) if framed and False in blue
                  else 1000 if framed else None,
                  text(left + bar_width, bar_y, PERCENT_CHARS).strip())


def read_text_mode(machine):
    """The same of a screen in VGA's text mode, from the adapter's memory."""
    file = machine.folder / "text"
    machine.qmp.command("pmemsave", val=TEXT_MODE_PA, size=TEXT_COLUMNS * TEXT_ROWS * 2,
                        filename=str(file))
    codes = file.read_bytes()[::2]
    rows = [codes[i:i + TEXT_COLUMNS] for i in range(0, len(codes), TEXT_COLUMNS)]
    bar = rows.pop()
    done = bar[:TEXT_BAR].count(BLOCK)
    framed = done + bar[:TEXT_BAR].count(DOTS) == TEXT_BAR
    return Screen(TEXT_COLUMNS, TEXT_ROWS,
                  tuple(row.decode("cp437").rstrip() for row in rows),
                  round(1000 * done / TEXT_BAR) if framed else None,
                  bar[TEXT_BAR:].decode("cp437").strip())
