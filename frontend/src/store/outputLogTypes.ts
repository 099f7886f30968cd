/** What the runs socket says about cells: docs/reference/runs.md. Times are milliseconds since 1970. */

export type CellStateName = "idle" | "queued" | "running" | "ok" | "error" | "aborted" | "cancelled" | "interrupted" | "died" | "not_run";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type MimeBundle = Readonly<Record<string, Json>>;

export interface BlobRef {
  readonly sha256: string;
  readonly size_bytes: number;
}

/** Text of one stream. `omitted` UTF-16 units between `text` (the head) and `tail` are only in `chunks`. */
export interface StreamOutput {
  readonly output_type: "stream";
  readonly name: "stdout" | "stderr";
  readonly text: string;
  readonly tail?: string;
  readonly omitted?: number;
  readonly chunks?: readonly BlobRef[];
  readonly limit_reached?: boolean;
}

export interface DisplayOutput {
  readonly output_type: "display_data" | "execute_result";
  readonly data: MimeBundle;
  readonly metadata: Readonly<Record<string, Json>>;
  readonly blobs?: Readonly<Record<string, BlobRef>>;
  readonly display_id?: string;
  readonly execution_count?: number;
}

export interface ErrorOutput {
  readonly output_type: "error";
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

export interface NoticeOutput {
  readonly output_type: "notice";
  readonly code: string;
  readonly text: string;
}

export type Output = StreamOutput | DisplayOutput | ErrorOutput | NoticeOutput;

export interface InputState {
  readonly input_id: string;
  readonly prompt: string;
  readonly password: boolean;
}

/** Never changed in place: what did not change keeps its identity. */
export interface CellState {
  readonly state: CellStateName;
  readonly run_id: string | null;
  readonly execution_count: number | null;
  readonly outputs: readonly Output[];
  readonly queued_at: number | null;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly source_sha256: string;
  readonly input: InputState | null;
}

export interface KernelInfo {
  readonly kernel_id: string;
  readonly kernelspec_name: string;
  readonly state: string;
  readonly reason: string;
}

interface OperationBase {
  seq: number;
  at: number;
}

interface CellOperationBase extends OperationBase {
  cell_id: string;
  run_id: string;
}

export type CellOperation =
  | (CellOperationBase & { op: "queued"; source_sha256?: string })
  | (CellOperationBase & { op: "started" })
  | (CellOperationBase & { op: "counted"; execution_count: number })
  | (CellOperationBase & {
      op: "stream";
      index: number;
      name: "stdout" | "stderr";
      text: string;
      part?: "head" | "tail";
      cut?: number;
      drop?: number;
      omitted?: number;
    })
  | (CellOperationBase & { op: "stream_chunk"; index: number; blob?: BlobRef | null; limit_reached?: boolean })
  | (CellOperationBase & {
      op: "display";
      index: number;
      output_type: "display_data" | "execute_result";
      data: MimeBundle;
      metadata: Record<string, Json>;
      blobs?: Record<string, BlobRef>;
      display_id?: string | null;
      execution_count?: number | null;
    })
  | (CellOperationBase & { op: "error"; index: number; ename: string; evalue: string; traceback: string[] })
  | (CellOperationBase & { op: "notice"; index: number; code: string; text: string })
  | (CellOperationBase & { op: "clear" })
  | (CellOperationBase & { op: "input_request"; input_id: string; prompt: string; password: boolean })
  | (CellOperationBase & { op: "input_closed"; input_id: string; value?: string | null })
  | (CellOperationBase & {
      op: "finished";
      status: CellStateName;
      execution_count?: number | null;
      started_at?: number | null;
      finished_at?: number | null;
      reason?: string;
    });

export interface UpdateDisplayOperation extends OperationBase {
  op: "update_display";
  display_id: string;
  targets: { cell_id: string; index: number }[];
  data: MimeBundle;
  metadata: Record<string, Json>;
  blobs?: Record<string, BlobRef>;
}

export interface KernelOperation extends OperationBase {
  op: "kernel";
  kernel_id: string;
  kernelspec_name: string;
  state: string;
  reason?: string;
}

export type Operation = CellOperation | UpdateDisplayOperation | KernelOperation;

/** What holds for the kernel beside the log: its place in the queue, or when it is to end. With neither: nothing. */
export interface KernelNotice {
  readonly type: "kernel_notice";
  readonly kernel_id: string;
  readonly queue_position: number | null;
  readonly queue_length: number | null;
  readonly ends_at: number | null;
  readonly end_cause: "idle" | "life" | "drain" | null;
  readonly used_at: number | null;
}

/** What the kernel uses of what it may: a few seconds old. Null: not measured yet; no limit. */
export interface KernelUse {
  readonly type: "kernel_use";
  readonly kernel_id: string;
  readonly memory_bytes: number | null;
  readonly memory_limit_bytes: number | null;
  readonly cpu_cores: number | null;
  readonly cpu_limit_cores: number | null;
}

export type LogMessage =
  | { type: "snapshot"; seq: number; kernel: KernelInfo | null; cells: Record<string, Partial<CellState>>; parts?: number }
  | { type: "snapshot_part"; outputs: Record<string, Output[]> }
  | { type: "resumed"; seq: number }
  | KernelNotice
  | KernelUse
  | { type: "ops"; ops: Operation[] };
