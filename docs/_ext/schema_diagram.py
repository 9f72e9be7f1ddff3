"""Draws the tables and their foreign keys as SVG: a table stands right of those it refers to."""

from __future__ import annotations

from html import escape
from typing import Any

_WIDTH, _ROW, _HEAD, _ACROSS, _DOWN = 210, 16, 24, 90, 22


def svg() -> str:
    """Return the diagram of ``storage.schema.metadata``."""
    from storage.schema import metadata

    tables = metadata.sorted_tables
    depth: dict[str, int] = {}
    for table in tables:
        referred = [key.column.table.name for key in table.foreign_keys if key.column.table.name != table.name]
        depth[table.name] = 1 + max((depth[name] for name in referred), default=-1)
    bottom: dict[int, int] = {}
    place: dict[str, tuple[int, int]] = {}
    for table in tables:
        column = depth[table.name]
        place[table.name] = (20 + column * (_WIDTH + _ACROSS), bottom.get(column, 20))
        bottom[column] = place[table.name][1] + _height(table) + _DOWN
    width = 40 + (max(depth.values()) + 1) * (_WIDTH + _ACROSS) - _ACROSS
    height = max(bottom.values()) + 10
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="sans-serif" font-size="11" role="img">'
        ),
        "<title>The tables of the store and what they refer to</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for table in tables:
        parts += [_arrow(place, table, key) for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)]
    for table in tables:
        parts += _box(table, *place[table.name])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _height(table: Any) -> int:
    return _HEAD + _ROW * len(table.columns) + 6


def _row_middle(table: Any, column: Any) -> int:
    return _HEAD + _ROW * list(table.columns).index(column) + _ROW // 2 + 2


def _arrow(place: dict[str, tuple[int, int]], table: Any, key: Any) -> str:
    x, y = place[table.name]
    to_x, to_y = place[key.column.table.name]
    y += _row_middle(table, key.parent)
    to_x, to_y = to_x + _WIDTH, to_y + _row_middle(key.column.table, key.column)
    bend = _ACROSS // 2
    return (
        f'<path d="M {x} {y} C {x - bend} {y}, {to_x + bend} {to_y}, {to_x} {to_y}" fill="none" '
        f'stroke="#7a8699" stroke-width="1.2"/><circle cx="{to_x}" cy="{to_y}" r="2.5" fill="#7a8699"/>'
    )


def _box(table: Any, x: int, y: int) -> list[str]:
    parts = [
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_height(table)}" rx="4" fill="#f6f8fb" stroke="#345"/>',
        f'<text x="{x + 8}" y="{y + 16}" font-weight="bold" fill="#14213d">{escape(table.name)}</text>',
    ]
    for column in table.columns:
        middle = y + _row_middle(table, column) + 4
        weight = ' font-weight="bold"' if column.primary_key else ""
        parts.append(f'<text x="{x + 8}" y="{middle}"{weight} fill="#22304a">{escape(column.name)}</text>')
        parts.append(
            f'<text x="{x + _WIDTH - 8}" y="{middle}" text-anchor="end" fill="#7a8699">'
            f"{escape(type(column.type).__name__.lower())}</text>"
        )
    return parts
