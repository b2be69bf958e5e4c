"""What an auditor asks of queries: which of them are shown, and how they group. A step between parse and sink, without I/O."""

from pellucid.audit.audit import Audit, Wanted

__all__ = ["Audit", "Wanted"]
