"""A validation loss over all held-out slides at once, instead of the mean of their batches'."""

import torch
from skorch.callbacks import Callback


class CohortLoss(Callback):
    """Replaces the mean of the batches' validation losses by the loss over all validation outputs.

    A partial likelihood compares slides with each other, and a batch need not contain all classes.
    """

    def __init__(self, loss):
        self.loss = loss

    def on_epoch_begin(self, net, **kwargs):
        self._outputs, self._targets = [], []

    def on_batch_end(self, net, batch=None, training=True, y_pred=None, **kwargs):
        if not training:
            self._outputs.append(y_pred)
            self._targets.append(batch[1].to(y_pred.device))

    def on_epoch_end(self, net, **kwargs):
        if self._outputs:
            net.history.record("valid_loss", self.loss(torch.cat(self._outputs), torch.cat(self._targets)).item())
        self._outputs, self._targets = [], []
