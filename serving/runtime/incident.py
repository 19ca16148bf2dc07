"""What a client learns when the server fails: a number that the log has too, and nothing else."""

import logging
import secrets

from serving.problems import Code, Refusal, refuse

logger = logging.getLogger(__name__)


def incident(error: BaseException) -> Refusal:
    """Log an error that should not have happened, and say only where to look."""
    number = secrets.token_hex(6)
    logger.error("incident %s", number, exc_info=error)
    return refuse(500, Code.INTERNAL_ERROR, f"the server failed; incident {number} is in its log")
