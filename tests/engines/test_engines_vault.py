"""Secrets that must be used again: sealed with a key that lies apart."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from attribune.engines.file_vault import FILE_NAME, FileVault
from attribune.model.errors import StoreUnavailable, VaultLocked


def test_a_secret_comes_out_as_it_went_in_and_reads_like_nothing(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / FILE_NAME)
    sealed = vault.seal("sécret")
    assert "cret" not in sealed
    assert vault.seal("sécret") != sealed, "who compares two learns nothing"
    assert FileVault(tmp_path / FILE_NAME).unseal(sealed) == "sécret"


def test_the_key_is_its_owner_s_alone_and_is_made_once(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / FILE_NAME)
    assert list(tmp_path.iterdir()) == [], "none is made before it is needed"
    vault.seal("a")
    (key,) = tmp_path.iterdir()
    assert key.stat().st_mode & 0o777 == 0o600
    made = key.read_bytes()
    vault.seal("b")
    assert key.read_bytes() == made


def test_of_many_who_make_a_key_at_once_all_use_the_same(tmp_path: Path) -> None:
    sealed: list[str] = []
    begin = threading.Barrier(8)

    def seal() -> None:
        begin.wait()
        sealed.append(FileVault(tmp_path / FILE_NAME).seal("s"))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {FileVault(tmp_path / FILE_NAME).unseal(one) for one in sealed} == {"s"}


def test_another_key_or_none_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / FILE_NAME)
    sealed = vault.seal("s")
    (tmp_path / FILE_NAME).rename(tmp_path / "old")
    with pytest.raises(VaultLocked, match="put it back"):
        vault.unseal(sealed)
    vault.seal("other")
    with pytest.raises(VaultLocked, match="another key"):
        vault.unseal(sealed)
    with pytest.raises(VaultLocked):
        vault.unseal("no token at all")


def test_a_place_that_holds_no_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        FileVault(tmp_path / "nowhere" / FILE_NAME).seal("s")
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        FileVault(tmp_path / FILE_NAME).seal("s")
