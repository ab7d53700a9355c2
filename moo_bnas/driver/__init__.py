"""The driver's side of a run: opens it, submits candidates, waits for workers, shows progress.

It never imports torch.
"""
