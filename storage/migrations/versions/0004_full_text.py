"""The full-text index, filled with the words of every text that is there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from storage.indexing import fill

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The tokens come from storage.words and are to pass as they are: this tokenizer parts them at the spaces, for it
# takes every character beyond ASCII as part of a word. Sizes are for ranking, which nobody asks for.
FTS5 = "CREATE VIRTUAL TABLE mention_words USING fts5(tokens, tokenize = 'ascii', columnsize = 0)"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        op.execute(FTS5)
    else:
        op.create_table(
            "mention_words",
            sa.Column("mention_id", sa.BigInteger(), nullable=False),
            sa.Column("tokens", postgresql.TSVECTOR(), nullable=False),
            sa.ForeignKeyConstraint(["mention_id"], ["mentions.id"], name=op.f("fk_mention_words_mention_id")),
            sa.PrimaryKeyConstraint("mention_id", name=op.f("pk_mention_words")),
            comment="The full-text index: the words of each text, and of French ones the stems. On SQLite a table "
            "of FTS5, in which `rowid` stands for `mention_id`.",
        )
    # In the migration's one transaction: stopped in the middle, it leaves the store as it was. The index is
    # derived: whatever words this program makes of a text, they are those that its searches ask for.
    fill(connection)
    if connection.dialect.name != "sqlite":
        # Built over what is there, it is quicker and smaller than one that grows.
        op.create_index(op.f("ix_mention_words_tokens"), "mention_words", ["tokens"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("mention_words")
