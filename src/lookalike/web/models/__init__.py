"""What the server remembers beside the collections: people, who may see what, jobs, searches."""

from lookalike.web.models.accounts import ApiToken, User, WelcomeLink
from lookalike.web.models.answers import KeptAnswer
from lookalike.web.models.audit import AuditEntry
from lookalike.web.models.backups import Backup
from lookalike.web.models.collections import HostedCollection, Membership, Role
from lookalike.web.models.jobs import (
    Job,
    JobKind,
    JobState,
    LearningRun,
    LongWork,
    ServerBackupJob,
    Wish,
)
from lookalike.web.models.pictures import UploadedPicture
from lookalike.web.models.searches import SavedSearch

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Backup",
    "HostedCollection",
    "Job",
    "JobKind",
    "JobState",
    "KeptAnswer",
    "LearningRun",
    "LongWork",
    "Membership",
    "Role",
    "SavedSearch",
    "ServerBackupJob",
    "UploadedPicture",
    "User",
    "WelcomeLink",
    "Wish",
]
