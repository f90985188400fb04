# SPDX-License-Identifier: Apache-2.0
"""What outlives the programs, in a database of the operator's choice."""

from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError, DatabaseNotReady

__all__ = ["Database", "DatabaseError", "DatabaseNotReady"]
