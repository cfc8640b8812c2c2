"""Optimisers of a pair of networks, and their state as named tensors."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models.config import Optimiser

_RMS_ALPHA, _EPS = 0.99, 1e-8


class Optimisers:
    """One optimiser a network, or the single one that fastai keeps for both.

    In the single one the resting network still has gradients, of zero: its weights stay, but its
    mean squares fade by 0.99 with every step of the other. After five steps of the critic the
    generator's next step is some 2.5 % larger for it. A network without any gradient yet is left
    alone.
    """

    def __init__(
        self,
        networks: dict[str, nn.Module],
        kind: Optimiser,
        *,
        betas: tuple[float, float] = (0.5, 0.999),
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self._networks = networks
        self._shares = kind == "shared-rmsprop"
        self._scaler = scaler
        self._by_name: dict[str, torch.optim.Optimizer] = {}
        for name, network in networks.items():
            parameters = list(network.parameters())
            if kind == "adam":
                optimiser: torch.optim.Optimizer = torch.optim.Adam(
                    parameters, lr=0.0, betas=betas, eps=_EPS
                )
            else:
                optimiser = torch.optim.RMSprop(parameters, lr=0.0, alpha=_RMS_ALPHA, eps=_EPS)
            self._by_name[name] = optimiser

    def step(self, name: str, loss: Tensor, rate: float, *, clip_norm: float = 0.0) -> Tensor:
        """Follow the gradient of `loss` in one network; return the gradient's norm.

        A gradient longer than `clip_norm` is shortened to it first; 0: as long as it is.

        In float16 a step whose gradients overflow is left out, and the norm told is 0: it is how
        the scaler finds its scale.
        """
        optimiser = self._by_name[name]
        optimiser.zero_grad(set_to_none=True)
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.unscale_(optimiser)
        gradients = [p.grad for p in self._networks[name].parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if clip_norm:
            torch.nn.utils.clip_grads_with_norm_(self._networks[name].parameters(), clip_norm, norm)
        for group in optimiser.param_groups:
            group["lr"] = rate
        if self._scaler is None:
            optimiser.step()
        else:
            self._scaler.step(optimiser)
            self._scaler.update()
            norm = torch.where(norm.isfinite(), norm, torch.zeros_like(norm))
        if self._shares:
            self._fade(other for key, other in self._by_name.items() if key != name)
        return norm

    @staticmethod
    def _fade(resting: Iterable[torch.optim.Optimizer]) -> None:
        """Do to the resting networks what a step with gradients of zero does."""
        squares = [
            state["square_avg"] for optimiser in resting for state in optimiser.state.values()
        ]
        if squares:
            torch._foreach_mul_(squares, _RMS_ALPHA)

    def tensors(self) -> dict[str, Tensor]:
        """Return the whole state, by `network/parameter/quantity`."""
        return {
            f"{name}/{parameter}/{quantity}": value
            for name, network in self._networks.items()
            for parameter, tensor in network.named_parameters()
            for quantity, value in self._by_name[name].state.get(tensor, {}).items()
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned; a parameter without a state starts anew."""
        for name, network in self._networks.items():
            state = self._by_name[name].state
            for parameter, tensor in network.named_parameters():
                prefix = f"{name}/{parameter}/"
                found = {
                    key.removeprefix(prefix): value
                    for key, value in tensors.items()
                    if key.startswith(prefix)
                }
                state.pop(tensor, None)
                if found:
                    # A counter of steps stays on the processor, where the optimiser keeps it;
                    # the rest is laid out in memory as its parameter is.
                    state[tensor] = {
                        quantity: value.clone()
                        if quantity == "step"
                        else torch.empty_like(tensor, requires_grad=False).copy_(value)
                        for quantity, value in found.items()
                    }
