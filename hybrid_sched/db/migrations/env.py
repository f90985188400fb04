# SPDX-License-Identifier: Apache-2.0
"""Run by Alembic for each upgrade, on the connection and in the transaction of whoever asked for it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
