"""The worker's side of a run: claims trials, has their networks trained, finishes them.

It reaches torch only through the evaluator that its command hands it, and never imports pymoo.
`loop` claims, `jobs` says what is due: the parent, candidates or final trainings, a module each.
"""

from moo_bnas.worker.evaluates import Evaluates
from moo_bnas.worker.loop import work
from moo_bnas.worker.options import Limits, WorkerOptions

__all__ = ["Evaluates", "Limits", "WorkerOptions", "work"]
