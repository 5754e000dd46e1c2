import pytest
import torch
from killing import failpoints_of, kill_at

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.learning.checkpoints import (
    CHECKPOINT,
    disk_faults,
    load_checkpoint,
    save_checkpoint,
)


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    state = {
        "epochs": 3,
        "modules": {"a": torch.arange(4.0)},
        "rows": [{"stage": "x", "loss": 0.5}],
    }
    save_checkpoint(tmp_path, state)
    found = load_checkpoint(tmp_path)
    torch.testing.assert_close(found.pop("modules"), state.pop("modules"))
    assert found == state


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_checkpoint_is_told_in_one_line(tmp_path, damage):
    save_checkpoint(tmp_path, {"epochs": 1, "weights": torch.zeros(1000)})
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1500] if damage is None else damage)
    with pytest.raises(UsageError, match=r"checkpoint\.pt is damaged; delete .* and start again"):
        load_checkpoint(tmp_path)


def test_objects_are_never_unpickled(tmp_path):
    torch.save({"epochs": pytest.raises}, tmp_path / CHECKPOINT)
    with pytest.raises(UsageError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_a_kill_while_saving_leaves_the_old_checkpoint_or_the_new(tmp_path):
    def save(epochs):
        save_checkpoint(tmp_path, {"epochs": epochs})

    names = failpoints_of(lambda: save(0), tmp_path / "log")
    assert names
    for epochs, name in enumerate(names, start=1):
        save(-1)
        kill_at(name, lambda epochs=epochs: save(epochs))
        assert load_checkpoint(tmp_path)["epochs"] in (-1, epochs)


def test_what_the_disk_refuses_names_the_folder(tmp_path):
    with (
        pytest.raises(EnvironmentFault, match=f"{tmp_path} could not be written: No space"),
        disk_faults(tmp_path),
    ):
        raise OSError(28, "No space left on device")
