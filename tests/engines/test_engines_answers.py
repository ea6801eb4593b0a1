"""What every keeper of answers promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

from attribune.engines import lmdb_answers
from attribune.engines.lmdb_answers import LmdbAnswers
from attribune.model.errors import FolderTooNew, StoreUnavailable
from attribune.model.ids import START, DeviceId, Position, ProductId

GAME, SHOP = ProductId("game"), ProductId("shop")
PHONE = DeviceId("phone")


def test_nothing_is_answered_before_it_is_decided(open_answers):
    answers = open_answers()
    assert answers.get(GAME, PHONE) is None
    assert answers.position() == START


def test_the_newest_answer_of_a_devices_product_is_given(open_answers):
    answers = open_answers()
    answers.put({(GAME, PHONE): b"old", (SHOP, PHONE): b"other"}, Position(3))
    answers.put({(GAME, PHONE): b"new"}, Position(9))
    assert answers.get(GAME, PHONE) == b"new"
    assert answers.get(SHOP, PHONE) == b"other"
    assert answers.position() == 9


def test_an_answer_is_taken_away(open_answers):
    answers = open_answers()
    answers.put({(GAME, PHONE): b"old", (SHOP, PHONE): b"other"}, Position(3))
    answers.put({(GAME, PHONE): None, (GAME, DeviceId("never")): None}, Position(9))
    assert answers.get(GAME, PHONE) is None
    assert answers.get(SHOP, PHONE) == b"other"
    assert answers.position() == 9


def test_a_position_moves_without_answers(open_answers):
    answers = open_answers()
    answers.put({}, Position(5))
    assert answers.position() == 5


def test_names_do_not_run_into_each_other(open_answers):
    answers = open_answers()
    answers.put({(ProductId("ab"), DeviceId("c")): b"x"}, Position(1))
    assert answers.get(ProductId("a"), DeviceId("bc")) is None


def test_a_long_device_id_is_a_device_id(open_answers):
    answers = open_answers()
    long = [DeviceId("ü" * 2000 + end) for end in "ab"]
    answers.put({(GAME, device): device[-1].encode() for device in long}, Position(1))
    assert [answers.get(GAME, device) for device in long] == [b"a", b"b"]


def test_answers_stand_when_opened_again(open_answers):
    answers = open_answers()
    answers.put({(GAME, PHONE): b"x"}, Position(7))
    answers.close()
    again = open_answers()
    assert (again.get(GAME, PHONE), again.position()) == (b"x", 7)


def test_another_process_reads_what_was_put(tmp_path):
    answers = LmdbAnswers(tmp_path)
    read = (
        "import sys; from attribune.engines.lmdb_answers import LmdbAnswers\n"
        "answers = LmdbAnswers(sys.argv[1])\n"
        "for line in sys.stdin: print(answers.get('game', 'phone'), answers.position(), flush=True)\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", read, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask() -> str:
        reader.stdin.write("?\n")
        reader.stdin.flush()
        return reader.stdout.readline().strip()

    assert ask() == "None 0"
    answers.put({(GAME, PHONE): b"decided"}, Position(4))
    assert ask() == "b'decided' 4"
    reader.communicate(timeout=10)
    answers.close()


def test_a_folder_is_opened_once_in_a_process(tmp_path):
    answers = LmdbAnswers(tmp_path)
    with pytest.raises(StoreUnavailable):
        LmdbAnswers(tmp_path)
    answers.close()
    with pytest.raises(StoreUnavailable):
        answers.get(GAME, PHONE)


def test_a_later_format_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("attribune.engines.lmdb_answers.FORMAT", 2)
        answers = LmdbAnswers(tmp_path)
        answers.put({}, Position(1))
        answers.close()
    with pytest.raises(FolderTooNew, match="install the later one"):
        LmdbAnswers(tmp_path)


def test_a_map_that_is_full_changes_nothing_and_a_larger_one_takes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_answers, "MAP_BYTES", 256 << 10)
    small = LmdbAnswers(tmp_path)
    small.put({(GAME, PHONE): b"first"}, Position(1))
    many = {(GAME, DeviceId(str(n))): bytes(1000) for n in range(1000)}
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="MAP_FULL"):
            small.put({**many, (GAME, PHONE): b"second"}, Position(2))
        assert (small.get(GAME, PHONE), small.position()) == (b"first", 1)
    small.put({(GAME, PHONE): b"third"}, Position(2))
    small.close()
    monkeypatch.undo()
    large = LmdbAnswers(tmp_path)
    assert (large.get(GAME, PHONE), large.position()) == (b"third", 2)
    large.put(many, Position(3))
    assert (large.get(GAME, DeviceId("999")), large.position()) == (bytes(1000), 3)
    large.close()
