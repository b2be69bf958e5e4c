"""What is probed in a shell, and which of its variables are read; all of it is exported, in stripped shells too.

bash exports every function and variable, for its loadable builtins; zsh exports what its modules use.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pellucid.attach.library import Library


class Calls(NamedTuple):
    """The programs for calls of a function that may be in a library: the shell's own calls are probed then."""

    called: str
    """For the call instruction."""
    back: str = ""
    """For the instruction behind it, where that tells something."""


@dataclass(frozen=True)
class ShellProbe:
    """One kind of shell."""

    name: str
    telling: tuple[str, ...]
    """Functions that every such shell has, and nothing else."""
    probes: tuple[tuple[str, str], ...]
    """A program of shell.bpf.c, and the function of the shell that it is for; of those that are called `*_returned`
    the return; `*_returns`: its return instructions; `*_came_back`: the instructions behind its calls. In the order in which they are attached: no line is seen without the question for it."""
    variables: dict[str, str]
    """By the name in `struct variables` (bpf/typed.h) that in the shell."""
    elsewhere: dict[str, Calls] = field(default_factory=dict)
    """Functions that may be in a library."""
    command_probes: tuple[tuple[str, str], ...] = ()
    """Those besides, with `--commands`."""
    command_variables: dict[str, str] = field(default_factory=dict)
    """Those besides, with `--commands`."""

    @property
    def family(self) -> Library:
        """What tells its files from others, whatever they are called."""
        return Library(name=self.name, title=self.name, calls=(), needs=self.telling)

    @property
    def forks_tell(self) -> bool:
        """Whether what a shell runs can only be told when it forks."""
        return "code_entered" in dict(self.probes)

    def with_commands(self) -> ShellProbe:
        """The same, for what is run as well as for what is typed."""
        return replace(
            self,
            probes=(*self.probes, *self.command_probes),
            variables={**self.variables, **self.command_variables},
        )


BASH = ShellProbe(
    name="bash",
    telling=("pre_process_line", "throw_to_top_level", "execute_command_internal"),
    probes=(
        ("line_returned", "readline"),
        ("readline_entered", "readline"),
        ("line_given_up", "throw_to_top_level"),
        ("line_expanded_returned", "pre_process_line"),
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
    elsewhere={"readline": Calls("readline_called", "line_came_back")},
    command_probes=(("command_returns", "execute_command_internal"), ("words_came_back", "expand_words")),
    command_variables={
        "source": "the_printed_command_except_trap",
        "source_there": "the_printed_command",
        "trap": "running_trap",
        "traps": "trap_list",
        "script": "dollar_vars",
        "lineno": "line_number",
        "functions": "variable_context",
        "subshells": "subshell_level",
    },
)

ZSH = ShellProbe(
    name="zsh",
    telling=("zleentry", "execbuiltin"),
    probes=(
        ("line_returned", "zleentry"),
        ("zle_entered", "zleentry"),
        ("command_read", "hend"),
        ("parameter_set", "setsparam"),
    ),
    variables={
        "status": "lastval",
        "directory": "pwd",
        "history": "chline",
        "history_end": "hptr",
        "expanded": "histdone",
    },
    elsewhere={"execve": Calls("program_tried")},
    command_probes=(
        ("it_returns", "execbuiltin"),
        ("it_returns", "doshfunc"),
        ("builtin_entered", "execbuiltin"),
        ("function_entered", "doshfunc"),
        ("code_entered", "execode"),
        ("program_tried", "execve"),
    ),
    command_variables={
        "script": "argzero",
        "lineno": "lineno",
        "functions": "locallevel",
        "subshells": "zsh_subshell",
    },
)
