"""What is known of a function's end, instruction by instruction: what it returns, stores, and has tested."""

import pytest

from pellucid.attach.code.symbolic import Address, Argument, Bits, Constant, Load, Low, Result
from pellucid.attach.code.x86 import Condition, OpaqueError, outcomes
from pellucid.attach.symbols import Elf

SSL, OUT = Argument(0), Address(Argument(1), 0)
WORD = Load(SSL, 8, 4)
POINTER = Load(SSL, 0xA8, 8)


def ends(path, name="f"):
    with Elf(path) as elf:
        return outcomes(elf, elf.symbol(name))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("mov 8(%rdi),%eax; ret", WORD),
        ("mov 8(%rdi),%rax; mov %eax,%eax; ret", WORD),
        ("movzwl 8(%rdi),%eax; ret", Load(SSL, 8, 2)),
        ("mov 0xa8(%rdi),%rax; mov 0x98(%rax),%rax; ret", Load(POINTER, 0x98, 8)),
        ("add $0x10,%rdi; mov -8(%rdi),%eax; ret", WORD),
        ("sub $-4,%rdi; mov 4(%rdi),%eax; ret", WORD),
        ("mov $0x98,%eax; add 0xa8(%rdi),%rax; mov (%rax),%eax; ret", Load(POINTER, 0x98, 4)),
        ("lea 0xb8(%rdi),%rax; ret", Address(SSL, 0xB8)),
        ("movzbl 8(%rdi),%eax; and $1,%eax; ret", Bits(Load(SSL, 8, 1), 1)),
        ("mov 8(%rdi),%eax; shr $11,%eax; and $1,%eax; ret", Bits(WORD, 1 << 11, 11)),
        ("movzbl 8(%rdi),%eax; shr $3,%al; and $1,%eax; ret", Bits(Load(SSL, 8, 1), 8, 3)),
        ("mov 8(%rdi),%eax; shr $3,%al; ret", Low(Bits(Load(SSL, 8, 1), 0xF8, 3), 1)),
        ("mov 8(%rdi),%eax; shr %eax; ret", Bits(WORD, 0xFFFFFFFE, 1)),
        ("mov $2,%edx; mov 4(%rdi,%rdx,2),%eax; ret", WORD),
        ("mov $7,%eax; ret", Constant(7)),
        ("mov $-1,%eax; ret", Constant(0xFFFFFFFF)),
        ("xor %eax,%eax; ret", Constant(0)),
        ("mov 8(%rdi),%al; ret", Low(Load(SSL, 8, 1), 1)),
        ("mov 8(%rdi),%ax; ret", Low(Load(SSL, 8, 2), 2)),
        ("mov 8(%rdi),%al; shr $3,%al; and $1,%eax; ret", Bits(Load(SSL, 8, 1), 8, 3)),
        ("mov 8(%rdi),%al; movzbl %al,%eax; ret", Load(SSL, 8, 1)),
        ("mov 8(%rdi),%al; and $0x101,%eax; ret", None),
        ("mov 8(%rdi),%al; mov (%rax),%eax; ret", None),
        ("movsbl 8(%rdi),%eax; ret", None),
        ("mov 8(%rdi),%eax; cltq; ret", None),
        ("mov 8(%rdi,%rsi),%eax; ret", None),
        ("mov %fs:8,%eax; ret", None),
        ("mov 8(%rdi),%eax; mov (%rax),%eax; ret", None),
        ("mov 8(%rdi),%eax; or $1,%eax; ret", None),
        ("mov 8(%rdi),%eax; mov %eax,-8(%rsp); mov -8(%rsp),%rax; ret", None),
        ("lea 8(%rdi),%rax; add $8,%rax; ret", Address(SSL, 16)),
    ],
)
def test_what_is_returned(function, code, value):
    """Loads, pointer arithmetic and masks say where a value comes from; anything else makes it unknown."""
    assert [value] == [outcome.value for outcome in ends(function(code))]


@pytest.mark.parametrize("tail", ["jmp g", "sub $8,%rsp; call g; add $8,%rsp; ret"])
def test_result_of_a_call(function, tail):
    """What another function returned is known by that function and its first argument."""
    path = function(f"mov 0xa8(%rdi),%rdi; {tail}")
    with Elf(path) as elf:
        address = elf.symbol("g").address
    assert [Result(address, POINTER)] == [outcome.value for outcome in ends(path)]


def test_conditional_tail_call(function):
    """A jump that leaves the function under a condition is an outcome under that condition."""
    found = ends(function("cmpl $0,8(%rdi); je g; xor %eax,%eax; ret"))
    assert {(True, Result), (False, Constant)} == {
        (condition.zero, type(outcome.value)) for outcome in found for condition in outcome.conditions
    }


@pytest.mark.parametrize(
    ("code", "stored"),
    [
        ("mov 8(%rdi),%eax; mov %eax,(%rsi); ret", {OUT: WORD}),
        ("movl $0,(%rsi); mov 8(%rdi),%eax; mov %eax,(%rsi); ret", {OUT: WORD}),
        ("mov %rsi,%rax; lea 8(%rdi),%rsi; mov %rax,%rdi; rep movsb; ret", {OUT: Load(SSL, 8, 1)}),
        ("movdqu 8(%rdi),%xmm0; movups %xmm0,(%rsi); ret", {OUT: Load(SSL, 8, 16)}),
        ("vmovdqu 8(%rdi),%ymm1; vmovdqu %ymm1,(%rsi); ret", {OUT: Load(SSL, 8, 32)}),
        ("movdqu 8(%rdi),%xmm0; pxor %xmm1,%xmm0; movups %xmm0,(%rsi); ret", {OUT: None}),
        ("mov 8(%rdi),%eax; mov %eax,(%rsi); incl (%rsi); ret", {OUT: None}),
        ("mov 8(%rdi),%eax; mov %eax,(%rsi,%rdx); ret", {}),
    ],
)
def test_what_is_stored(function, code, stored):
    """What was last written through a pointer is known by the place that it was read from."""
    assert [stored] == [outcome.stored for outcome in ends(function(code))]


def test_copy(library):
    """A call of memcpy stores what the source holds."""
    source = "void *memcpy(void *, void *, unsigned long); void f(char *s, void *o, long n) { memcpy(o, s + 8, n); }"
    assert [{OUT: Load(SSL, 8, 1)}] == [outcome.stored for outcome in ends(library(source, "-O1"))]


@pytest.mark.parametrize(
    "code",
    [
        "cmpl $0,8(%rdi); mov $0,%eax; jne 1f; mov (%rdi),%rax; 1: ret",
        "mov 8(%rdi),%edx; xor %eax,%eax; test %edx,%edx; jne 1f; mov (%rdi),%rax; 1: ret",
        "mov 8(%rdi),%edx; mov $0,%eax; test %edx,%edx; cmove (%rdi),%rax; ret",
    ],
)
def test_conditions(function, code):
    """What a branch or a conditional move tests for zero is known on either side of it."""
    expected = {
        (Constant(0), frozenset({Condition(WORD, zero=False)})),
        (Load(SSL, 0, 8), frozenset({Condition(WORD, zero=True)})),
    }
    assert expected == {(outcome.value, outcome.conditions) for outcome in ends(function(code))}


def test_bits_that_a_branch_tests(function):
    """A test of some bits is not taken for one of the whole word."""
    found = ends(function("testb $0x80,8(%rdi); je 1f; ud2; 1: ret"))
    assert [{Condition(Bits(Load(SSL, 8, 1), 0x80), zero=True)}] == [outcome.conditions for outcome in found]


@pytest.mark.parametrize(
    "code",
    [
        "test %edi,%edi; incl %edx; je 1f; 1: ret",
        "test %edi,%edi; js 1f; 1: ret",
        "cmp $1,%edi; je 1f; 1: ret",
        "test %edi,%esi; je 1f; 1: ret",
    ],
)
def test_branches_on_something_else(function, code):
    """No condition is made of flags that another instruction set, or that do not say whether it is zero."""
    assert {frozenset()} == {outcome.conditions for outcome in ends(function(code))}


def test_value_that_was_found_to_be_zero(function):
    """A pointer that is returned because it is null is the constant 0."""
    found = ends(function("mov 0xa8(%rdi),%rax; test %rax,%rax; je 1f; mov 8(%rax),%rax; 1: ret"))
    assert {Constant(0), Load(POINTER, 8, 8)} == {outcome.value for outcome in found}


def test_walk_over_a_list_ends(function):
    """A loop over a linked list is followed until nothing more can be said; one over an array is refused."""
    found = ends(function("1: mov (%rdi),%rdi; test %rdi,%rdi; jne 1b; mov 8(%rdi),%rax; ret"))
    assert None in {outcome.value for outcome in found}
    with pytest.raises(OpaqueError, match="cannot be followed"):
        ends(function("1: add $8,%rdi; cmp %rsi,%rdi; jne 1b; mov (%rdi),%rax; ret"))


def test_rare_part_of_a_function_is_unknown(function):
    """What is returned behind a jump out of the function, its frame in place, is not known."""
    found = ends(function("push %rbx; mov 8(%rdi),%eax; test %esi,%esi; js g; pop %rbx; ret"))
    assert {None, WORD} == {outcome.value for outcome in found}


def test_end_of_the_program_is_none(function):
    """A function that always ends the program has no outcome; one that cannot be followed says so."""
    assert not ends(function("ud2"))
    with pytest.raises(OpaqueError, match="known only at run time"):
        ends(function("jmp *(%rdi)"))
