"""The worker's side of a run: claims trials, has their networks trained, finishes them.

It reaches torch only through the evaluator that its command hands it, and never imports pymoo.
"""
