# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with commands."""


class UserError(Exception):
    """Something that whoever gave the command can set right; the message says how."""
