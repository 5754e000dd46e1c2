"""A typed client of the REST interface: the same questions to a server as to a collection.

with Client("https://pictures.example.org", token) as client:
    found = client.search("holiday", Query((IdExample(17),)), k=5)
    client.labels.add("holiday", ["beach"], [hit.id for hit in found.hits])
"""

from lookalike.client.asking import Client
from lookalike.client.values import (
    RemoteBackup,
    RemoteCollection,
    RemoteDoubt,
    RemoteFound,
    RemoteGroup,
    RemoteHit,
    RemoteJob,
    RemoteLabel,
    RemoteProposal,
    RemoteSearch,
)

__all__ = [
    "Client",
    "RemoteBackup",
    "RemoteCollection",
    "RemoteDoubt",
    "RemoteFound",
    "RemoteGroup",
    "RemoteHit",
    "RemoteJob",
    "RemoteLabel",
    "RemoteProposal",
    "RemoteSearch",
]
