/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs for functions of bash. */
#pragma once

#include "reader.h"

/* bash: readline(prompt). `read -e` calls it too, with a prompt of its own. */
static __always_inline void readline_asks(struct pt_regs *ctx, u64 sp)
{
	struct variables *shell = this_shell(ctx);

	if (shell && wanted() && PT_REGS_PARM1(ctx) == variable(shell->asked, sizeof(u64)))
		asked(shell,
		      variable(shell->prompt, sizeof(u64)) != variable(shell->first_prompt, sizeof(u64)), sp);
}

SEC("uprobe")
int readline_entered(struct pt_regs *ctx)
{
	readline_asks(ctx, PT_REGS_SP(ctx));
	return 0;
}

/* The instruction that calls it, where it is in a library. */
SEC("uprobe")
int readline_called(struct pt_regs *ctx)
{
	readline_asks(ctx, PT_REGS_SP(ctx) - RETURN_ADDRESS);
	return 0;
}

/* The instruction behind the call. */
SEC("uprobe")
int line_came_back(struct pt_regs *ctx)
{
	answered(ctx);
	return 0;
}

/* bash: throw_to_top_level(), when Ctrl-C has ended the line, and before readline forgets it. */
SEC("uprobe")
int line_given_up(struct pt_regs *ctx)
{
	struct variables *shell = this_shell(ctx);
	u32 pid = this_process();
	struct reader *reader = bpf_map_lookup_elem(&readers, &pid);

	if (!shell || !wanted() || !reader || !reader->sp)
		return 0;
	reader->sp = 0;
	say(shell, GIVEN_UP, variable(shell->buffer, sizeof(u64)));
	return 0;
}

/*
 * bash: pre_process_line(line, ...), which history expansion begins with. It tells the line of a shell that
 * has waited for it since before the probes were there.
 */
SEC("uprobe")
int line_taken(struct pt_regs *ctx)
{
	struct variables *shell = this_shell(ctx);
	struct reader new = {.line = PT_REGS_PARM1(ctx)}, *reader;
	u32 pid = this_process();

	if (!shell || !wanted() || !(u32)variable(shell->interactive, sizeof(u32)))
		return 0;
	reader = bpf_map_lookup_elem(&readers, &pid);
	if (reader)
		reader->line = new.line;
	else if (bpf_map_update_elem(&readers, &pid, &new, BPF_NOEXIST) == 0)
		say(shell, EARLIER, new.line);
	return 0;
}

/* bash: its return is another text where history was expanded, NULL where that failed or was only to be
 * shown. */
SEC("uprobe")
int line_expanded_returned(struct pt_regs *ctx)
{
	u32 pid = this_process();
	struct reader *reader = bpf_map_lookup_elem(&readers, &pid);

	if (stopped || !reader || !reader->line || !wanted())
		return 0;
	if (PT_REGS_RC(ctx) != reader->line)
		say_expanded(PT_REGS_RC(ctx), 0);
	reader->line = 0;
	return 0;
}

/* bash: the instruction behind a call of expand_words(list) of a simple command, the only one that asks for
 * all expansions. */
SEC("uprobe")
int words_came_back(struct pt_regs *ctx)
{
	/* WORD_LIST and WORD_DESC in bash's command.h, which loadable builtins are compiled with */
	struct list words = {.node = PT_REGS_RC(ctx), .word_at = 8, .described = 1};

	say_command(ctx, PT_REGS_SP(ctx) - RETURN_ADDRESS, &words);
	return 0;
}

/* bash: a return instruction of execute_command_internal(command, ...), which returns the status; it lies
 * above its words' expansion. */
SEC("uprobe")
int command_returns(struct pt_regs *ctx)
{
	if (wanted())
		say_finished(PT_REGS_SP(ctx), PT_REGS_RC(ctx));
	return 0;
}
