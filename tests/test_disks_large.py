"""A large machine: every layer at once, and what it comes to."""

from __future__ import annotations

import pytest

from tests.disking_large import large_machine
from vaultd.disks import copies, inventory
from vaultd.disks.model import Inventory


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    box = large_machine(tmp_path_factory.mktemp("large"))
    folders = [inventory.Folder(f"/srv/vault{number}".encode(), f"v{number}") for number in range(24)]
    return inventory.read(box.machine, folders, ask=box.ask)


def test_each_disk_is_one_whatever_its_paths(found: Inventory) -> None:
    assert len(found.disks) == 72
    assert all(len(disk.names) == 2 and disk.transport == "sas" for disk in found.disks)
    assert {disk.bay.text for disk in found.disks if disk.bay} == {f"bay {number}" for number in range(72)}
    assert all(disk.encryption == "luks2" for disk in found.disks)


def test_a_vault_on_two_arrays_needs_ten_of_twelve_of_each(found: Inventory) -> None:
    """66 choices on either side: more than are listed, and each that is listed is one of the smallest."""
    for shown in found.maps:
        assert len(shown.every) == 24
        assert shown.sure
        assert not shown.all_copies
        assert shown.copies
        for one in shown.copies[:5]:
            assert len(one) == 20
            assert copies.carries(shown.top, one)
            assert not any(copies.carries(shown.top, one - {disk}) for disk in one)
