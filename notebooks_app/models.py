"""Projects, their members and trash; live documents and what their cells produced."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from zasper_hub.accounts.models import Team


class Role(models.TextChoices):
    """What a member may do in a project. Compare with `Role.rank`: each includes those before it."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    OWNER = "owner", "Owner"

    @property
    def rank(self) -> int:
        return ("viewer", "editor", "owner").index(self.value)


class Project(models.Model):
    """A folder of files with members. `team/slug` is its address and its folder in the store."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="projects")
    slug = models.SlugField(max_length=64)
    name = models.CharField(max_length=100)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    allows_hidden_files = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_opened_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["team", "slug"], name="one_slug_a_team")]


class ProjectStorage(models.Model):
    """How much a project keeps: measured now and then, and kept up to date by what the hub itself writes."""

    project = models.OneToOneField(
        Project, primary_key=True, on_delete=models.CASCADE, related_name="storage"
    )
    files_bytes = models.BigIntegerField(default=0)
    trash_bytes = models.BigIntegerField(default=0)
    outputs_bytes = models.BigIntegerField(default=0, help_text="Large outputs, versions and checkpoints.")
    measured_at = models.DateTimeField(null=True, db_index=True)

    @property
    def total_bytes(self) -> int:
        return max(self.files_bytes, 0) + max(self.trash_bytes, 0) + max(self.outputs_bytes, 0)


class ProjectMembership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="project_memberships"
    )
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)
    holds_storage_since = models.DateTimeField(
        null=True,
        help_text="When the person took the project over as their storage; see selectors/storage.py.",
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_a_project")
        ]


class TrashedFile(models.Model):
    """A file or folder that was deleted and can still be put back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="trash")
    path = models.CharField(max_length=1024, help_text="Where it was, relative to the project.")
    is_folder = models.BooleanField(default=False)
    size_bytes = models.BigIntegerField(default=0)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    deleted_at = models.DateTimeField(auto_now_add=True, db_index=True)


class Document(models.Model):
    """The live document of one notebook file. Created once from the file; see docs/reference/documents.md.

    Authored content lives in the update log and the snapshot; produced content in `CellOutput`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="documents")
    path = models.CharField(max_length=1024)
    epoch = models.CharField(max_length=32, help_text="Names one history; another epoch never merges.")
    # Authored content: the snapshot holds every update up to and including `snapshot_stream_id`.
    snapshot = models.BinaryField(default=b"", help_text="A Yjs update (v1) of the whole document.")
    snapshot_stream_id = models.CharField(max_length=40, default="0-0")
    snapshot_version = models.PositiveBigIntegerField(default=0, help_text="For compare-and-set.")
    # Produced content: operations up to and including `log_seq` are in `CellOutput`.
    log_generation = models.PositiveIntegerField(
        default=0, help_text="Raised for each writer of the output log; seq = generation << 32 | n."
    )
    log_seq = models.BigIntegerField(default=0)
    # The file as last imported or exported.
    file_sha256 = models.CharField(max_length=64, blank=True)
    file_base = models.BinaryField(
        default=b"", help_text="The cells as last seen in the file, zlib-compressed JSON: base of a merge."
    )
    dirty_since = models.DateTimeField(
        null=True, blank=True, db_index=True, help_text="Oldest change that is not in the file yet."
    )
    changed_at = models.DateTimeField(null=True, blank=True)
    export_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_opened_at = models.DateTimeField(null=True, blank=True)
    left_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When somebody who had changed it closed it, until that is a version.",
    )
    left_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "path"], name="one_document_a_path")
        ]


class CellOutput(models.Model):
    """What one cell last produced. `outputs` are folded outputs (docs/reference/runs.md)."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="cell_outputs")
    cell_id = models.CharField(max_length=64)
    run_id = models.CharField(max_length=36, blank=True)
    state = models.CharField(max_length=12, default="idle")
    execution_count = models.IntegerField(null=True, blank=True)
    outputs = models.JSONField(default=list)
    input = models.JSONField(
        null=True, blank=True, help_text="The line the kernel waits for: `{input_id, prompt, password}`."
    )
    source_sha256 = models.CharField(max_length=64, blank=True)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    seq = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "cell_id"], name="one_output_a_cell")
        ]


class Blob(models.Model):
    """A large payload, content-addressed in the blob store (data/blobs/ab/abcdef…)."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class BlobReference(models.Model):
    """Which document a blob belongs to: what makes it readable, and what keeps it."""

    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="references")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="blob_references")
    seen_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["blob", "document"], name="one_reference_a_document")
        ]


class Version(models.Model):
    """A snapshot of sources and outputs that can be looked at, compared and restored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="versions")
    name = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=20, help_text="`auto`, `run_all`, `close` or `named`")
    notebook_sha256 = models.CharField(max_length=64, help_text="Blob of the nbformat JSON.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)


class ServedNotebook(models.Model):
    """What a Jupyter client last read or saved of a notebook: the base from which its next save is merged."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=1024)
    client = models.CharField(max_length=80, help_text="A token or a sign-in: `Call.client`.")
    content_sha256 = models.CharField(max_length=64)
    base = models.BinaryField(help_text="As `Document.file_base`.")
    trusted_cells = models.JSONField(
        default=list, help_text="Ids of the cells whose outputs, as they are in `base`, the client trusts."
    )
    served_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "path", "client"], name="one_served_a_client")
        ]


class Checkpoint(models.Model):
    """The one copy of a file that Jupyter clients can go back to (data/checkpoints/<id>)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=1024)
    size_bytes = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "path"], name="one_checkpoint_a_path")
        ]


class ClientConfig(models.Model):
    """A section of the configuration that Jupyter front ends keep for a person."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    section = models.CharField(max_length=64)
    content = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "section"], name="one_config_a_section")
        ]
