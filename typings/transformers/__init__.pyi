# All of Transformers is Any: reading it takes a type checker 12 seconds, and it does not declare
# the attributes that its loaders set.
from typing import Any

def __getattr__(name: str) -> Any: ...
