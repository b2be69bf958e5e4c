// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lines that people type into a shell, and what became of them.
 *
 * The function that reads a line tells both: its return is the line, and its next call for a new command, not
 * for the rest of one, is the end of the command before, whose status the shell keeps in a variable.
 */

#include "filter.h"
#include "ran.h"
#include "stack.h"
#include <bpf/bpf_tracing.h>

/* A shell that was seen. */
struct reader {
	u64 sp;	  /* of the call that waits for a line; 0: none does */
	u64 line; /* bash: the text whose history is being expanded */
	u8 more;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); /* tgid */
	__type(value, struct reader);
} readers SEC(".maps");

/* A line is asked for; `more`: it is to continue what was typed before. */
static __always_inline void asked(const struct variables *shell, u8 more, u64 sp)
{
	struct reader now = {.sp = sp, .more = more}, *before;
	struct prompted *r;
	u32 pid = this_process();

	before = bpf_map_lookup_elem(&readers, &pid);
	if (before && before->sp) /* left by longjmp */
		say_line(shell, GIVEN_UP);
	if (bpf_map_update_elem(&readers, &pid, &now, BPF_ANY))
		untracked();
	r = RECORD(prompted, sizeof(*r));
	if (!r) {
		lose(RING_FULL, 1);
		return;
	}
	r->pid = pid;
	r->status = variable(shell->status, sizeof(u32));
	r->more = more;
	submit(r);
}

/* The line that `asked` was about is there; other calls of the same function are not meant. */
static __always_inline void answered(struct pt_regs *ctx)
{
	struct variables *shell = this_shell(ctx);
	u32 pid = this_process();
	struct reader *reader = bpf_map_lookup_elem(&readers, &pid);

	if (!shell || !wanted() || !reader || reader->sp != PT_REGS_SP(ctx) - RETURN_ADDRESS)
		return;
	reader->sp = 0;
	if (PT_REGS_RC(ctx))
		say(shell, reader->more ? MORE : FIRST, PT_REGS_RC(ctx));
	else /* Ctrl-D; zsh: Ctrl-C too */
		say_line(shell, GIVEN_UP);
}

static __always_inline void left(u8 replaced)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 pid = this_process();
	struct left *r;
	bool reads = !bpf_map_delete_elem(&readers, &pid);

	if (!(replaced ? runs_on(pid) : !bpf_map_delete_elem(&runners, &pid)) && !reads)
		return;
	r = RECORD(left, sizeof(*r));
	if (!r) {
		lose(RING_FULL, 1);
		return;
	}
	r->pid = pid;
	r->status = BPF_CORE_READ(task, exit_code);
	r->replaced = replaced;
	submit(r);
}

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

SEC("uprobe")
int line_returned(struct pt_regs *ctx)
{
	answered(ctx);
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

/* What the line that a shell has read runs as; NULL: it does not run. */
static __always_inline void say_expanded(u64 text, u64 limit)
{
	struct list line = {.pid = this_process(), .text = EXPANDED, .word = text, .limit = limit};

	say_list(&line);
}

/* bash: its return is another text where history was expanded, NULL where that failed or was only to be
 * shown. */
SEC("uprobe")
int line_expanded_returned(struct pt_regs *ctx)
{
	u32 pid = this_process();
	struct reader *reader = bpf_map_lookup_elem(&readers, &pid);

	if (!reader || !reader->line || !wanted())
		return 0;
	if (PT_REGS_RC(ctx) != reader->line)
		say_expanded(PT_REGS_RC(ctx), 0);
	reader->line = 0;
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

/* bash: expand_words(list) of a simple command, the only one that asks for all expansions. */
SEC("uprobe")
int words_returned(struct pt_regs *ctx)
{
	/* WORD_LIST and WORD_DESC in bash's command.h, which loadable builtins are compiled with */
	struct list words = {.node = PT_REGS_RC(ctx), .word_at = 8, .described = 1};

	say_command(ctx, PT_REGS_SP(ctx) - RETURN_ADDRESS, &words);
	return 0;
}

/* bash: execute_command_internal(command, ...), whose return is the status; it lies above its words'
 * expansion. */
SEC("uprobe")
int command_returned(struct pt_regs *ctx)
{
	if (wanted())
		say_finished(PT_REGS_SP(ctx) - RETURN_ADDRESS, PT_REGS_RC(ctx));
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

/* zsh: either of them, whose return is the status. */
SEC("uprobe")
int it_returned(struct pt_regs *ctx)
{
	if (wanted())
		say_finished(PT_REGS_SP(ctx) - RETURN_ADDRESS + 1, PT_REGS_RC(ctx));
	return 0;
}

/* zsh: execode(program, ...), which everything that is read or evaluated goes through. */
SEC("uprobe")
int code_entered(struct pt_regs *ctx)
{
	say_may_run(ctx);
	return 0;
}

SEC("raw_tp")
int process_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	unfollow(this_process());
	left(0);
	return 0;
}

SEC("raw_tp")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	follow_child((void *)ctx->args[0], (void *)ctx->args[1]);
	child_may_run((void *)ctx->args[1]);
	return 0;
}

SEC("raw_tp")
int process_exec(void *ctx)
{
	left(1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
