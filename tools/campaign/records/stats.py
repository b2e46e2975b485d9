"""Statistics as JSON lines, with the names that AFL++'s fuzzer_stats has where it has one.

What AFL++ has no name for starts with gmemdiff_.
"""

from __future__ import annotations

import json
from typing import Any

from tools.campaign.views.snapshot import Snapshot


def stats_line(snapshot: Snapshot, pid: int, command_line: str) -> dict[str, Any]:
    """One line of stats.jsonl."""
    s = snapshot
    covered = 100.0 * s.lines / s.lines_total if s.lines_total else 0.0
    return {
        "start_time": int(s.started),
        "last_update": round(s.now, 3),
        "run_time": round(s.run_time, 3),
        "fuzzer_pid": pid,
        "cycles_done": 0,
        "execs_done": s.executions,
        "execs_per_sec": round(s.rate, 2),
        "corpus_count": s.corpus,
        "corpus_found": s.corpus,
        "pending_total": s.queue,
        "last_find": int(s.last_cover),
        "last_crash": int(s.last_finding),
        "last_hang": int(s.last_hang),
        "saved_crashes": len(s.findings),
        "saved_hangs": s.hangs,
        "edges_found": s.lines + s.pairs + s.windows,
        "total_edges": s.lines_total,
        "bitmap_cvg": f"{covered:.2f}%",
        "peak_rss_mb": round(s.peak_rss_mb, 1),
        "cpus_used": sum(worker.pid != 0 for worker in s.workers),
        "afl_banner": "gmemdiff",
        "target_mode": "atheris",
        "command_line": command_line,
        "gmemdiff_windows": s.windows,
        "gmemdiff_pairs": s.pairs,
        "gmemdiff_lines": s.lines,
        "gmemdiff_steps": s.steps,
        "gmemdiff_hits": s.hits,
        "gmemdiff_inconclusive": s.inconclusive,
        "gmemdiff_errors": s.errors,
        "gmemdiff_findings": s.by_side(),
        "gmemdiff_accepted": sum(bool(f.accepted) for f in s.findings),
        "gmemdiff_workers": [
            {
                "n": worker.number,
                "rss_mb": round(worker.rss_mb, 1),
                "execs_done": worker.executions,
                "restarts": worker.restarts,
                "state": worker.state,
            }
            for worker in s.workers
        ],
    }


def stats_text(snapshot: Snapshot, pid: int, command_line: str) -> str:
    """The same as text without a newline."""
    return json.dumps(stats_line(snapshot, pid, command_line))
