"""Addresses that the user gives for functions: how they are written, and where they may lead."""

import subprocess

import pytest

from pellucid.attach.given import given_target, named_addresses, parse_addresses
from pellucid.attach.maps import Maps
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError, UsageError
from pellucid.probes.mysqld.probe import PROBE as MYSQLD
from pellucid.probes.openssl.probe import PROBE

SOURCE = """
#define SEPARATE __attribute__((noinline, noclone))
static volatile int sink;
SEPARATE int SSL_read(int x) { for (int i = 0; i < x; i++) sink += i; return sink; }
SEPARATE int SSL_write(int x)
{
	int a = SSL_read(x);
	sink -= 1000;
	return a + SSL_read(x + 1) + SSL_read(x + 2);
}
__attribute__((visibility("default"))) int use(int x) { return SSL_write(x) + 1; }
"""
TOLD, UNTOLD = "-fasynchronous-unwind-tables", "-fno-asynchronous-unwind-tables"


@pytest.fixture(params=[TOLD, UNTOLD])
def stripped(library, request):
    """(a library without symbols, with or without tables for unwinding; where its functions are)."""
    path = library(SOURCE, "-O2", "-fvisibility=hidden", request.param)
    with Elf(path) as elf:
        addresses = {name: elf.symbol(name).address for name in PROBE.required}
    subprocess.run(["strip", path], check=True)
    return path, addresses


def target(path, addresses):
    """The target that the file is with these addresses."""
    return given_target(PROBE, Maps(), path, addresses)


@pytest.mark.parametrize(
    "text", ["SSL_read=0x10,SSL_write=0x2f", "SSL_write=2f, SSL_read=10", "SSL_read=0X10 ,SSL_write=0x2F"]
)
def test_writing(text):
    """Names and hexadecimal numbers, in any order, as nm or a disassembler print them."""
    assert {"SSL_read": 0x10, "SSL_write": 0x2F} == parse_addresses(text, PROBE)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "--addr: '' is not of the form SSL_read=0x1234"),
        ("SSL_read", "--addr: 'SSL_read' is not of the form SSL_read=0x1234"),
        ("SSL_reed=0x10,SSL_write=0x20", "--addr: 'SSL_reed' is none of SSL_read, "),
        (
            "SSL_read=ten,SSL_write=0x20",
            "--addr: 'ten' is no address: write it in hexadecimal, such as 0x1234",
        ),
        ("SSL_read=-1,SSL_write=0x20", "--addr: '-1' is no address"),
        ("SSL_read=0x10000000000000000,SSL_write=0x20", "is no address"),
        ("SSL_read=0x10,SSL_read=0x20", "--addr gives SSL_read twice"),
        ("SSL_read=0x10,SSL_write=0x10", "--addr gives 0x10 to both SSL_read and SSL_write"),
        ("SSL_free=0x10", "--addr lacks SSL_read and SSL_write"),
        ("SSL_read=0x10", "--addr lacks SSL_write"),
    ],
)
def test_mistakes_in_writing(text, complaint):
    """Each mistake is told by one line."""
    with pytest.raises(UsageError) as raised:
        parse_addresses(text, PROBE)
    assert str(raised.value).startswith("--addr")
    assert complaint in str(raised.value)


def test_functions(stripped):
    """Where functions begin they are taken, and it is said that they were given."""
    path, addresses = stripped
    found = target(path, addresses)
    assert addresses == {name: symbol.address for name, symbol in found.functions.items()}
    with Elf(path) as elf:
        assert all(elf.address(symbol.offset) == symbol.address for symbol in found.functions.values())
    assert "given" == found.how


def test_symbols_complete_what_is_given(library):
    """What the file names itself is added; where it names another place, the user's counts."""
    path = library(SOURCE + "int SSL_free(void) { return 3; }")
    with Elf(path) as elf:
        free, use = elf.symbol("SSL_free"), elf.symbol("use")
        addresses = {"SSL_read": elf.symbol("SSL_read").address, "SSL_write": use.address}
    found = target(path, addresses).functions
    assert (free, use.address) == (found["SSL_free"], found["SSL_write"].address)


def boundaries(path, start, size):
    """How far after `start` instructions begin, as objdump says."""
    command = ["objdump", "-d", f"--start-address={start}", f"--stop-address={start + size}", path]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(line.split(":")[0], 16) - start for line in listing.splitlines() if ":\t" in line}


def complaint(path, addresses, **other):
    """Why these addresses are refused, with one of them changed."""
    [(name, address)] = other.items()
    with pytest.raises(PellucidError) as raised:
        target(path, addresses | other)
    before, _, what = str(raised.value).partition(f"{address:#x}, given for {name}, ")
    assert f"{path}: " == before
    return what


def test_middle_of_an_instruction(stripped):
    """An address where objdump begins no instruction is refused for that."""
    path, addresses = stripped
    start = addresses["SSL_write"]
    middles = set(range(24)) - boundaries(path, start, 24)
    assert len(middles) > 5
    assert {"is in the middle of an instruction"} == {
        complaint(path, addresses, SSL_write=start + distance) for distance in middles
    }


def test_inside_of_a_function(library):
    """Where the file tells its functions, only their beginnings are taken."""
    path = library(SOURCE, "-O2", "-fvisibility=hidden", "-s", TOLD)
    with Elf(path) as elf:
        use = elf.symbol("use").address
    inside = min(boundaries(path, use, 16) - {0}) + use
    assert f"is inside the function that begins at {use:#x}" == complaint(
        path, {"SSL_read": use}, SSL_write=inside
    )


def test_inside_of_a_function_that_nothing_tells(library):
    """Where only the code shows it, what has another stack than at its beginning is refused."""
    body = "push %rbx; mov %edi,%ebx; add %ebx,%ebx; pop %rbx; ret"
    path = library(
        f".globl use\n.skip 32\nf: {body}\n.p2align 4\nuse: call f; ret", "-s", language="assembler"
    )
    with Elf(path) as elf:
        start = elf.symbol("use").address if elf.symbol("use") else elf.section(".text").address + 48
    f = start - 16
    assert target(path, {"SSL_read": f, "SSL_write": start}).functions["SSL_read"].address == f
    expected = "is not where a function begins: it returns with another stack"
    assert expected == complaint(path, {"SSL_write": start}, SSL_read=f + 1)


def test_not_code(stripped):
    """An address in data, or in nothing at all, is refused."""
    path, addresses = stripped
    with Elf(path) as elf:
        data = elf.section(".dynamic").address
    assert {"is not in its executable code"} == {
        complaint(path, addresses, SSL_read=address) for address in (data, 1 << 40)
    }


def test_before_every_function(library):
    """Without tables, code before the first function that anybody calls cannot be checked, and is refused."""
    path = library(".globl use\nnop\n.p2align 4\nf: ret\nuse: call f; ret", "-s", language="assembler")
    with Elf(path) as elf:
        start = elf.section(".text").address
    expected = "cannot be checked: no function is known to begin near it"
    assert expected == complaint(path, {"SSL_write": start + 16}, SSL_read=start)


def test_names_of_functions(library):
    """What the file itself calls its functions leads to where they are; a name that it lacks is told."""
    path = library("int my_read(void) { return 1; }\nint my_write(void) { return 2; }")
    with Elf(path) as elf:
        truth = {"SSL_read": elf.symbol("my_read").address, "SSL_write": elf.symbol("my_write").address}
    assert truth == named_addresses("SSL_read=my_read,SSL_write=my_write", PROBE, path)
    with pytest.raises(PellucidError, match="does not define my_reed, which --funcname names"):
        named_addresses("SSL_read=my_reed,SSL_write=my_write", PROBE, path)


def test_complaints_name_the_flag():
    """A complaint is about the flag that was given, in the words of the family that is meant."""
    with pytest.raises(UsageError, match="--offset: 'vio_read' is not of the form vio_read=0x1234"):
        parse_addresses("vio_read", MYSQLD, "--offset")
    with pytest.raises(UsageError, match="--offset lacks vio_write"):
        parse_addresses("vio_read=0x1", MYSQLD, "--offset")
