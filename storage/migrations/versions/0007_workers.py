"""What is due and whose turn it is, and what each platform's day has cost: shared by all workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.schema import Key as KEY  # noqa: N811 - as in 0001
