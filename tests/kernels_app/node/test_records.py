"""What a node keeps of kernels that outlive it."""

from __future__ import annotations

from pathlib import Path

from kernels_app.bus.envelopes import Limits, StartKernel
from kernels_app.bus.identifiers import CellId, DocumentId, KernelId, RunId
from kernels_app.node.admission import Admission, QueuedRun
from kernels_app.node.records import KeptRun, KernelRecord, Records


def record(kernel_id: str) -> KernelRecord:
    command = StartKernel(
        fence=7,
        kernel_id=KernelId(kernel_id),
        kernelspec_name="python3",
        project_path="p",
        cwd="",
        environment={},
        limits=Limits(memory_bytes=1 << 30),
        document_id=DocumentId("d"),
        log_generation=3,
    )
    return KernelRecord(
        command=command,
        container="c",
        key="k",
        display_name="Python",
        is_interrupted_by_message=False,
        runs=[KeptRun(queued("one"), 5), KeptRun(queued("two"))],
    )


def queued(run_id: str) -> QueuedRun:
    return QueuedRun(RunId(run_id), CellId("cell"), "request", "1", True, True)


def test_a_broken_record_is_removed_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "broken.record").write_bytes(b"\x81")
    records = Records(tmp_path)
    records.save(record("kernel-1"))
    assert records.all() == [record("kernel-1")]
    assert not (tmp_path / "broken.record").exists()


def test_a_kernel_id_from_the_wire_reaches_no_other_folder(tmp_path: Path) -> None:
    records = Records(tmp_path / "records")
    records.save(record("../../outside"))
    assert [path.parent for path in tmp_path.rglob("*.record")] == [tmp_path / "records"]
    records.remove(KernelId("../../outside"))
    assert records.all() == []


def test_a_full_disk_does_not_stop_the_kernel(tmp_path: Path) -> None:
    records = Records(tmp_path / "records")
    (tmp_path / "records").rmdir()
    records.save(record("kernel-1"))
    assert records.all() == []


def test_restored_runs_go_first_with_their_old_start_and_are_not_admitted_again() -> None:
    admission = Admission()
    admission.restore([(queued("one"), 5), (queued("two"), None)])
    assert admission.start_next(100) == queued("one")
    assert admission.running is not None
    assert admission.running.started_at == 5
    assert admission.waiting == (queued("two"),)
    [ended] = admission.lose(RunId("one"), "why")
    assert (ended.status, ended.reason, ended.started_at) == ("died", "why", 5)
    assert admission.lose(RunId("two"), "why") == []
    assert admission.start_next(100) == queued("two")
    assert admission.running.started_at == 100
