"""A second-level cache: results of queries in dogpile.cache regions, invalidated after commits by the tables they wrote."""

from .options import FromCache, RelationshipCache
from .refusal import refuse_without_cache
from .tables import invalidates

__all__ = ["FromCache", "RelationshipCache", "invalidates"]

refuse_without_cache()
