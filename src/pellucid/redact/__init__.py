"""Credentials masked before anything is written: a stage between parse and sink, from message to message.

`redactor.py` says which part of which message is what, `content.py` what is done with each; `names.py` what is called so
that it holds a credential; `text.py` finds credentials in any text, by their shape or by the name before them; `json.py`,
`forms.py`, `headers.py` and `sql.py` in what has a structure, which stays whole; `stream.py` in raw data, where they may come
in pieces; `shell.py` on command lines, whose words are in `words.py` and whose programs' options in `programs.py`. `rules.py` is what the user adds.
"""

from pellucid.redact.redactor import Redactor
from pellucid.redact.rules import Rules, load_rules

__all__ = ["Redactor", "Rules", "load_rules"]
