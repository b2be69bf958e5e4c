"""What is probed in a shell, and which of its variables are read; all of it is exported, in stripped shells too.

bash exports every function and variable, for its loadable builtins; zsh exports what its modules use.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ShellProbe:
    """One kind of shell."""

    name: str
    probes: tuple[tuple[str, str], ...]
    """A program of shell.bpf.c, and the function of the shell that it is for; of those that are called `*_returned`
    the return. In the order in which they are attached: no line is seen without the question for it."""
    variables: dict[str, str]
    """By the name in `struct variables` (bpf/typed.h) that in the shell."""


BASH = ShellProbe(
    name="bash",
    probes=(
        ("line_returned", "readline"),
        ("readline_entered", "readline"),
        ("line_given_up", "throw_to_top_level"),
        ("line_taken", "pre_process_line"),
    ),
    variables={
        "status": "last_command_exit_value",
        "directory": "the_current_working_directory",
        "asked": "current_readline_prompt",
        "prompt": "current_prompt_string",
        "first_prompt": "ps1_prompt",
        "buffer": "rl_line_buffer",
        "interactive": "interactive_shell",
    },
)

ZSH = ShellProbe(
    name="zsh",
    probes=(("line_returned", "zleentry"), ("zle_entered", "zleentry")),
    variables={"status": "lastval", "directory": "pwd"},
)
