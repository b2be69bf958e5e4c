"""Whom the decoder runs as; what it cannot do then is in tests/kernel/test_privileges.py."""

from __future__ import annotations

import grp
import pwd

import pytest

from pellucid import privileges
from pellucid.errors import PellucidError
from pellucid.privileges import DYNAMIC_UIDS, Ids, decoder_ids

FIRST = DYNAMIC_UIDS[0]


def account(name: str, uid: int, gid: int) -> pwd.struct_passwd:
    """One line of /etc/passwd."""
    return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/false"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the account, whose first three ids are an account's, a group's and a process's."""

    def no_such_account(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", no_such_account)
    monkeypatch.setattr(pwd, "getpwall", lambda: [account("somebody", FIRST, 100)])
    monkeypatch.setattr(grp, "getgrall", lambda: [grp.struct_group(("group", "x", FIRST + 1, []))])
    monkeypatch.setattr(privileges, "_uids_in_use", lambda: {FIRST + 2})


@pytest.mark.usefixtures("machine")
def test_ids_that_nobody_has() -> None:
    """Without an account it takes ids that no account, no group and no process has."""
    assert decoder_ids() == Ids(FIRST + 3, FIRST + 3)


@pytest.mark.usefixtures("machine")
def test_no_id_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all are taken, the error says which account to create."""
    monkeypatch.setattr(privileges, "_uids_in_use", lambda: set(DYNAMIC_UIDS))
    with pytest.raises(PellucidError, match="create a system account named pellucid"):
        decoder_ids()


def test_the_account_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is one its own group is used: the group with the number of its uid may be anybody's."""
    monkeypatch.setattr(pwd, "getpwnam", lambda name: account(name, 998, 996))
    assert decoder_ids() == Ids(998, 996)


def test_processes_are_counted() -> None:
    """The uids in use are those of running processes, root's among them."""
    assert 0 in privileges._uids_in_use()
