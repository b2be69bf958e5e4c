/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs for functions of zsh. */
#pragma once

#include "reader.h"

/* zsh: zleentry(ZLE_CMD_READ, &prompt, &right_prompt, flags, context, ...), see Src/zsh.h there. */
SEC("uprobe")
int zle_entered(struct pt_regs *ctx)
{
	const u32 zle_cmd_read = 1, line_start = 0, line_continued = 1;
	struct variables *shell = this_shell(ctx);
	u32 context = PT_REGS_PARM5(ctx);

	if (shell && wanted() && (u32)PT_REGS_PARM1(ctx) == zle_cmd_read && context <= line_continued)
		asked(shell, context != line_start, PT_REGS_SP(ctx));
	return 0;
}

/* zsh: setsparam("ZLE_LINE_ABORTED", line), when Ctrl-C has ended it (zleread() in its Src/Zle/zle_main.c).
 */
SEC("uprobe")
int parameter_set(struct pt_regs *ctx)
{
	const char aborted[17] = "ZLE_LINE_ABORTED";
	struct variables *shell = this_shell(ctx);
	char name[sizeof(aborted)] = {};
	u32 pid = this_process();
	struct reader *reader = bpf_map_lookup_elem(&readers, &pid);

	if (!shell || !wanted() || !reader || !reader->sp)
		return 0;
	bpf_probe_read_user(name, sizeof(name), (void *)PT_REGS_PARM1(ctx));
	for (int i = 0; i < sizeof(name); i++)
		if (name[i] != aborted[i])
			return 0;
	reader->sp = 0;
	say(shell, GIVEN_UP, PT_REGS_PARM2(ctx));
	return 0;
}

/* zsh: hend(program), when a command has been read; in a shell that asked for it before the probes were there
 * too. */
SEC("uprobe")
int command_read(struct pt_regs *ctx)
{
	const u32 histflag_done = 1, histflag_noexec = 2;
	struct variables *shell = this_shell(ctx);
	struct reader reader = {};
	u32 pid = this_process(), how;
	u64 text, end;

	if (!shell || !wanted())
		return 0;
	text = variable(shell->history, sizeof(u64));
	end = variable(shell->history_end, sizeof(u64));
	if (!text || text >= end)
		return 0;
	how = variable(shell->expanded, sizeof(u32));
	if (bpf_map_update_elem(&readers, &pid, &reader, BPF_NOEXIST) == 0)
		say_line(shell, EARLIER);
	else if (!(how & histflag_done))
		return 0;
	say_expanded(how & histflag_noexec ? 0 : text, end);
	return 0;
}

/* zsh: execbuiltin(words, settings, ...). struct linklist and struct linknode are in its zsh.h, which modules
 * are compiled with. */
SEC("uprobe")
int builtin_entered(struct pt_regs *ctx)
{
	struct list words = {.word_at = 16};

	words.node = pointer_at(PT_REGS_PARM1(ctx));
	words.settings = pointer_at(PT_REGS_PARM2(ctx));
	say_command(ctx, PT_REGS_SP(ctx), &words);
	return 0;
}

/* zsh: doshfunc(function, words, ...) */
SEC("uprobe")
int function_entered(struct pt_regs *ctx)
{
	struct list words = {.word_at = 16};

	words.node = pointer_at(PT_REGS_PARM2(ctx));
	say_command(ctx, PT_REGS_SP(ctx), &words);
	return 0;
}

/* zsh: a return instruction of either of them, which return the status. */
SEC("uprobe")
int it_returns(struct pt_regs *ctx)
{
	if (wanted())
		say_finished(PT_REGS_SP(ctx) + 1, PT_REGS_RC(ctx));
	return 0;
}

/* zsh: execode(program, ...), which everything that is read or evaluated goes through. */
SEC("uprobe")
int code_entered(struct pt_regs *ctx)
{
	say_may_run(ctx);
	return 0;
}

/* zsh: a call of execve(path, words, environment) */
SEC("uprobe")
int program_tried(struct pt_regs *ctx)
{
	say_tried(PT_REGS_PARM2(ctx));
	return 0;
}
