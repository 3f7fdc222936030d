"""The file itself: what is not a readable text of reasonable size never reaches the reader."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.errors import InvalidInput
from brownout.yamlsource import MAX_BYTES, MAX_NODES, MappingNode, SequenceNode, compose, read_source, resolve


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_source(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_told_with_the_one_that_was_likely_meant(tmp_path: Path) -> None:
    (tmp_path / "partition.yaml").touch()
    told = refusal(tmp_path / "partion.yaml")
    assert told.startswith(f"{tmp_path}/partion.yaml: no such file")
    assert f"did you mean '{tmp_path}/partition.yaml'?" in told


def test_a_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none" / "a.yaml").endswith("none/a.yaml: no such file")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory; expected an experiment file" in refusal(tmp_path)


def test_a_device_and_a_pipe_are_refused_without_being_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is no regular file" in refusal(tmp_path / "pipe.yaml")
    assert "is no regular file" in refusal(Path("/dev/zero"))


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.touch(mode=0o000)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        assert "cannot be read: Permission denied" in refusal(path)
    finally:
        os.seteuid(user)


def test_a_path_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: embedded null byte" in refusal(Path("a\0b"))
    assert "cannot be read: File name too long" in refusal(tmp_path / ("x" * 300))
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    assert "cannot be read: Too many levels of symbolic links" in refusal(tmp_path / "loop.yaml")


def test_a_huge_file_is_refused_by_its_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    assert f"104857600 bytes; at most {MAX_BYTES} are read" in refusal(path)


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"title: A\nhypothesis: caf\xe9\n")
    assert refusal(path) == f"{path}:2:16: byte 0xe9 is not UTF-8 text"
    path.write_bytes("title: A\n".encode("utf-16"))
    assert refusal(path) == f"{path}:1:1: byte 0xff is not UTF-8 text"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "marked.yaml"
    path.write_bytes(b"\xef\xbb\xbftitle: A\r\n")
    assert read_source(path) == "title: A\r\n"


def test_a_name_of_any_bytes_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml"))
    assert refusal(path).encode().endswith(b"/\\xff.yaml: no such file")


def test_a_text_is_limited_like_a_file() -> None:
    with pytest.raises(InvalidInput, match="too large for an experiment"):
        compose("a: " + "x" * MAX_BYTES, file="e.yaml")


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    with pytest.raises(InvalidInput, match=rf"^e\.yaml:5:\d+: more than {MAX_NODES} values, aliases expanded"):
        compose("\n".join(lines), file="e.yaml")


def test_a_merge_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 20)]
    with pytest.raises(InvalidInput, match="aliases expanded"):
        compose("\n".join(lines), file="e.yaml")


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {<<: *a}", "a: &a {b: *a}"])
def test_a_value_cannot_hold_itself(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"alias \*a has no anchor before it"):
        compose(text, file="e.yaml")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 100_000, "a: {b: [" * 20_000])
def test_depth_ends_reading_and_not_the_process(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"nested deeper than 32 levels|not valid YAML"):
        compose(text, file="e.yaml")


def test_many_values_end_reading_early() -> None:
    with pytest.raises(InvalidInput, match=f"more than {MAX_NODES} values"):
        compose("- a\n" * 60_000, file="e.yaml")


def test_a_mapping_s_own_keys_win_over_merged_ones_and_earlier_over_later() -> None:
    root = compose("a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}", file="e.yaml")
    assert isinstance(root, MappingNode)
    merged = root.entries["c"].node
    assert isinstance(merged, MappingNode)
    assert {key: str(entry.node) for key, entry in merged.entries.items()} == {"x": "1", "y": "3", "z": "2"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("+7", 7),
        *((word, word) for word in ("off", "on", "Yes", "n", "y", "tRue", "nil")),
        *((text, text) for text in ("010", "0o10", "0x1f", "0b1", "1_000", "1:30", "1:30:00", "190:20:30.15")),
        *((text, text) for text in ("2024-01-01", "2024-01-01T00:00:00Z", ".inf", "-.inf", ".nan", "1e999", "٣", "=")),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, "9" * 19),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_scalar_is_a_number_only_where_nobody_could_doubt_it(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_a_quoted_scalar_is_text() -> None:
    root = compose("['1', \"true\", '', ~]", file="e.yaml")
    assert isinstance(root, SequenceNode)
    assert [getattr(node, "value", None) for node in root.items] == ["1", "true", "", None]


def outcome(text: str) -> str:
    try:
        compose(text, file="e.yaml")
    except InvalidInput as refused:
        return str(refused)
    return "e.yaml: a tree"


@given(st.text(max_size=200))
def test_any_text_is_a_tree_or_a_refusal(text: str) -> None:
    assert outcome(text).startswith("e.yaml:")


@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,? \n\t<", max_size=60))
def test_any_heap_of_indicators_is_a_tree_or_a_refusal_in_one_line(text: str) -> None:
    assert outcome(text).startswith("e.yaml:")
    assert "\n" not in outcome(text)
