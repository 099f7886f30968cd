"""Long lists in parts: which part, in which order, matching what. The same for every list of the admin API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypedDict, TypeVar

from django.db.models import F, Model, QuerySet
from django.db.models.expressions import OrderBy
from ninja import Schema
from pydantic import AfterValidator, Field, StringConstraints

from zasper_hub.accounts.errors import Invalid
from zasper_hub.accounts.names import is_plain_text

Row = TypeVar("Row", bound=Model)
Item = TypeVar("Item")


def _plain(value: str) -> str:
    if not is_plain_text(value):
        raise ValueError("There are control characters in it.")
    return value


Filter = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), AfterValidator(_plain)]


class PageIn(Schema):
    """The part of a list that is wanted."""

    search: Filter = ""
    sort: Filter = ""
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class PageOut(Schema, Generic[Item]):
    items: list[Item]
    total: int


class Part(TypedDict):
    items: list[dict[str, Any]]
    total: int


def part_of(
    rows: QuerySet[Row],
    page: PageIn,
    *,
    sorts: Mapping[str, str],
    default: str,
    shape: Callable[[list[Row]], list[dict[str, Any]]],
) -> Part:
    """The wanted part of the rows, and how many there are in all. `sorts`: name outside → column; `default` a name.

    Rows without a value come last either way; rows alike are ordered by their key, so that no row is on two pages.

    Raises:
        Invalid: there is no such sort.
    """
    total = rows.order_by().count()
    ordered = rows.order_by(*_order(page.sort or default, sorts))
    chosen = list(ordered[page.offset : page.offset + page.limit]) if page.offset < total else []
    return {"items": shape(chosen), "total": total}


def _order(sort: str, sorts: Mapping[str, str]) -> list[OrderBy | str]:
    name = sort.removeprefix("-")
    if name not in sorts:
        raise Invalid(f"This list cannot be sorted by that. It can by: {', '.join(sorts)}.", field="sort")
    column = F(sorts[name])
    first = column.desc(nulls_last=True) if sort.startswith("-") else column.asc(nulls_last=True)
    return [first, "pk"]
