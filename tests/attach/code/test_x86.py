"""What is known of a function's calls, instruction by instruction."""

import pytest

from pellucid.attach.code.emulation import cheap_entry, cheap_place
from pellucid.attach.code.symbolic import Argument, Constant, Load, Stack
from pellucid.attach.code.x86 import OpaqueError, callees, conduct
from pellucid.attach.symbols import Elf


def calls(path):
    """(callee's name, first four arguments) of each call that `f` makes."""
    with Elf(path) as elf:
        found = callees(conduct(elf, elf.symbol("f")))
        return [(elf.function_at(callee.address).name, callee.arguments[:4]) for callee in found]


ARGUMENTS = tuple(Argument(number) for number in range(4))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sub $8,%rsp; call g; add $8,%rsp; ret", ARGUMENTS),
        ("jmp g", ARGUMENTS),
        ("mov %rdi,%rcx; mov %rsi,%rdi; call g; ret", (Argument(1), Argument(1), Argument(2), Argument(0))),
        ("xor %edi,%edi; call g; ret", (Constant(0), *ARGUMENTS[1:])),
        ("mov $1,%edi; call g; ret", (Constant(1), *ARGUMENTS[1:])),
        ("mov (%rdi),%rdi; call g; ret", (Load(Argument(0), 0, 8), *ARGUMENTS[1:])),
        ("mov %fs:0x28,%rdi; call g; ret", (None, *ARGUMENTS[1:])),
        ("inc %rdi; call g; ret", (None, *ARGUMENTS[1:])),
        ("mov %al,%dil; call g; ret", (None, *ARGUMENTS[1:])),
        ("movslq %edx,%rdx; call g; ret", (*ARGUMENTS[:2], Argument(2, whole=False), Argument(3))),
        ("mov %edx,%edx; call g; ret", (*ARGUMENTS[:2], Argument(2, whole=False), Argument(3))),
        ("movzwl %dx,%edx; call g; ret", (*ARGUMENTS[:2], None, Argument(3))),
        ("sub $24,%rsp; lea 8(%rsp),%rcx; call g; ret", (*ARGUMENTS[:3], Stack(-16))),
        (
            "push %rbp; mov %rsp,%rbp; sub $32,%rsp; mov %rdi,-8(%rbp); xor %edi,%edi; mov -8(%rbp),%rdi; call g; ret",
            ARGUMENTS,
        ),
        ("push %rdi; xor %edi,%edi; pop %rdi; call g; ret", ARGUMENTS),
        ("push %rbp; mov %rsp,%rbp; sub $32,%rsp; leave; jmp g", ARGUMENTS),
        ("push %rdi; movl $0,4(%rsp); pop %rdi; call g; ret", (None, *ARGUMENTS[1:])),
        ("push %rdi; movq $0,(%rax); pop %rdi; call g; ret", (None, *ARGUMENTS[1:])),
        ("push %rdi; incl (%rsp); pop %rdi; call g; ret", (None, *ARGUMENTS[1:])),
        ("push %rdi; and $-16,%rsp; pop %rdi; call g; ret", (None, *ARGUMENTS[1:])),
        ("push %rdx; lea -8(%rsp),%rdi; rep stosq; pop %rdx; call g; ret", (None, Argument(1), None, None)),
    ],
)
def test_what_one_call_is_handed(function, code, expected):
    """Moves, spills and stack arithmetic keep an argument known; any other write makes it unknown."""
    assert [("g", expected)] == calls(function(code))


def test_call_clobbers_what_it_may(function):
    """After a call the caller-saved registers are unknown; the callee-saved and the frame are not."""
    path = function("push %rbx; push %rdi; mov %rsi,%rbx; call g; pop %rdi; mov %rbx,%rsi; call g; ret")
    assert [("g", ARGUMENTS), ("g", (Argument(0), Argument(1), None, None))] == calls(path)


@pytest.mark.parametrize(
    "code",
    [
        "mov %rsp,%rsi; call g",
        "lea 8(%rsp),%rsi; xor %esi,%esi; call g",
        "lea (%rsp,%rdx),%rsi; call g",
        "mov %rsp,%rbp; lea -8(%rbp),%rax; call g",
        "mov %rsp,%rbp; mov %rbp,(%rsi); mov %rdi,(%rsp); call g",
        "mov %rsp,%rbp; push %rbp; pop %rax; call g",
        "mov %rsp,%rbp; and $-16,%rsp; mov %rsp,%rsi; call g; mov %rbp,%rsp; mov %rdi,(%rsp); call g",
    ],
)
def test_call_may_write_to_a_frame_that_it_can_know(function, code):
    """When an address in the frame has left the stack pointers, what is spilled is unknown after a call."""
    path = function(f"push %rdi; {code}; pop %rdi; call g; ret")
    assert calls(path)[-1][1][0] is None


def test_both_sides_of_a_branch(function):
    """A call is reported with what it is handed on either path that leads to it."""
    path = function("test %edx,%edx; js 1f; xor %edi,%edi; 1: call g; ret")
    assert {("g", ARGUMENTS), ("g", (Constant(0), *ARGUMENTS[1:]))} == set(calls(path))


def test_both_outcomes_of_a_conditional_move(function):
    """A conditional move is a branch: either value may be handed on."""
    path = function("test %edx,%edx; cmovs %rsi,%rdi; call g; ret")
    assert {("g", ARGUMENTS), ("g", (Argument(1), *ARGUMENTS[1:]))} == set(calls(path))


def test_loop_ends(function):
    """A loop is followed until it brings nothing new."""
    assert [("g", (Argument(0), Argument(1), None, Argument(3)))] == calls(
        function("1: dec %rdx; jnz 1b; call g; ret")
    )


def test_jump_out_in_mid_frame_is_no_call(function):
    """A jump to elsewhere with the frame still in place is the function's own rare part."""
    expected = [("h", ARGUMENTS)]
    assert expected == calls(function("push %rbx; test %edx,%edx; js g; pop %rbx; jmp h"))


def test_code_behind_the_end_is_not_run(function):
    """A function that ends in a call that does not return ends there, and so does one with ud2."""
    before = [("g", ARGUMENTS)]
    assert before == calls(function("call g"))
    assert before == calls(function("call g; ud2; call h"))


@pytest.mark.parametrize("code", ["call *%rax", "jmp *%rax", "mov (%rdi),%rax; call *0x38(%rax); ret"])
def test_call_through_a_pointer_is_opaque(function, code):
    """Where the target is known only at run time, nothing is claimed."""
    with pytest.raises(OpaqueError, match="known only at run time"):
        calls(function(code))


@pytest.mark.parametrize("code", [".skip 4097, 0x90", "jmp 1f; .byte 0x48; 1: ret; .byte 0x06", ""])
def test_code_that_is_not_understood_is_opaque(function, code):
    """A function that is long, empty, or jumps into bytes that are no code is not judged."""
    with pytest.raises(OpaqueError):
        calls(function(code))


@pytest.mark.parametrize(
    "flags", [(), ("-Wl,-Bsymbolic",), ("-fcf-protection=full", "-Wl,-z,ibtplt"), ("-fno-plt",)]
)
def test_tail_call_to_an_exported_function(library, flags):
    """A tail call is seen, whether it is direct, through either linkage table, or by its slot."""
    path = library(
        '__attribute__((visibility("hidden"))) int g(void *a) { return *(int *)a; }'
        "int h(void *a) { return g(a) + 1; } int f(void *a) { return h(a); }",
        "-O2",
        "-fno-inline",
        "-fno-ipa-ra",
        *flags,
    )
    expected = ["h"]
    assert expected == [name for name, _ in calls(path)]


def test_call_to_another_file_is_left_out(library):
    """What is called in other libraries is not code of this file."""
    path = library("int other(void); int f(void) { return other() + other(); }", "-O2")
    assert not calls(path)


@pytest.mark.parametrize(
    ("code", "skipped", "emulated"),
    [
        ("push %rbx", 0, True),
        ("push %r14", 0, True),
        ("nop", 0, True),
        ("jmp g", 0, True),
        ("call g", 0, True),
        ("js 1f; 1:", 0, True),
        ("js g", 0, True),
        ("sub $24,%rsp", 0, False),
        ("mov %rdi,%rax", 0, False),
        ("pause", 0, False),
        ("endbr64; push %r14", 4, True),
        ("endbr64; sub $24,%rsp", 0, False),
    ],
)
def test_cheap_entry(function, code, skipped, emulated):
    """The site is the entry, or behind its endbr64 where that makes the kernel emulate it."""
    with Elf(function(f"{code}; ret")) as elf:
        entry = elf.symbol("f").address
        assert (entry + skipped, emulated) == cheap_entry(elf, entry)


def conduct_of(path):
    """What `f` does."""
    with Elf(path) as elf:
        return conduct(elf, elf.symbol("f"))


def test_conduct_tells_calls_that_lead_elsewhere(function):
    """Calls through pointers, to other files and within the file are all told, with what they are handed."""
    found = conduct_of(function("push %rbx; call *8(%rdi); call memcpy@PLT; mov $7,%edi; pop %rbx; jmp g"))
    addresses = [address is None for address, _ in found.calls]
    assert [True, True, False] == addresses
    assert [Argument(0), None, Constant(7)] == [arguments[0] for _, arguments in found.calls]


@pytest.mark.parametrize(
    ("code", "stores"),
    [
        ("push %rbx; mov %rdi,-8(%rsp); movl $0,8(%rsp); pop %rbx; ret", False),
        ("mov (%rdi),%rax; cmpl $0,(%rsi); ret", False),
        ("mov %rax,(%rdi); ret", True),
        ("add %rax,8(%rdi); ret", True),
        ("rep stosq; ret", True),
    ],
)
def test_conduct_tells_whether_it_writes_to_memory(function, code, stores):
    """What is written to the function's own frame does not count, and what is read neither."""
    assert stores == conduct_of(function(code)).stores


@pytest.mark.parametrize(
    ("code", "balanced"),
    [
        ("push %rbx; test %edi,%edi; js 1f; call g; 1: pop %rbx; ret", True),
        ("pop %rbx; ret", False),
        ("test %edi,%edi; js 1f; ret; 1: add $8,%rsp; ret", False),
        ("push %rbp; mov %rsp,%rbp; call *%rax; leave; ret", True),
    ],
)
def test_conduct_tells_whether_it_began_at_the_entry(function, code, balanced):
    """Code that begins after a push returns with another stack than it began with: on one path is enough."""
    assert balanced == conduct_of(function(code)).balanced


def test_jump_table_is_opaque(function):
    """A jump in mid-frame to where a pointer leads hides what is there: such a function cannot be followed."""
    with pytest.raises(OpaqueError, match="known only at run time"):
        conduct_of(function("push %rbx; jmp *%rax"))


@pytest.mark.parametrize(
    ("code", "skipped"),
    [
        ("test %rdi,%rdi; je 1f; 1: ret", 3),
        ("endbr64; test %rdi,%rdi; je 1f; 1: ret", 7),
        ("mov 8(%rdi),%rax; test %rax,%rax; push %rbx; pop %rbx; ret", 7),
        ("push %rbx; pop %rbx; ret", 0),
        ("mov %rsi,%rdi; push %rbx; pop %rbx; ret", 0),
        ("mov $1,%esi; push %rbx; pop %rbx; ret", 0),
        ("test %rdi,%rdi; 1: push %rbx; pop %rbx; dec %eax; jne 1b; ret", 0),
        ("mov %rdi,%rax; ret; push %rbx", 0),
    ],
)
def test_cheap_place(function, code, skipped):
    """A probe that needs no return may sit on the first emulated instruction that execution comes to in a straight
    line, once, with the arguments untouched; else at the entry.
    """
    with Elf(function(code)) as elf:
        symbol = elf.symbol("f")
        assert symbol.address + skipped == cheap_place(elf, symbol)
