"""An LSTM forecasts a time series: the same memory, away from speech.

    python docs/examples/forecast.py

The series is Mackey and Glass's (Science 197, 1977), a model of how many blood cells a body makes:

    dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t)

What comes next depends on what was 17 time units ago, and the network is shown one value at a time:
without a memory it cannot know. It is compared with one that is given the same training and whose
memory is emptied at every step, and with the guess that nothing changes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

DELAY, AHEAD = 17, 10  # time units: of the equation, and by how much the forecast looks ahead
TRAINING, TEST = 1500, 500
UPDATES, PIECES, PIECE_STEPS = 300, 16, 100
WARM_UP_STEPS = 30  # of a piece that do not count: the memory is still empty

State = tuple[Tensor, Tensor]  # h and C


class Forecaster(nn.Module):
    """A layer of 32 cells, and a linear map from their hidden state to the predicted value."""

    def __init__(self, remembers: bool = True) -> None:
        super().__init__()
        self.lstm, self.line = nn.LSTM(1, 32, batch_first=True), nn.Linear(32, 1)
        self.remembers = remembers

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Values [batch, steps] to those AHEAD later, and the state to carry on."""
        steps = x[:, :, None] if self.remembers else x.reshape(-1, 1, 1)
        shown, state = self.lstm(steps, state if self.remembers else None)
        return x + self.line(shown).reshape(x.shape), state


def mackey_glass(length: int) -> np.ndarray:
    """float32 [length], a value a time unit, the first 300 left out; of mean 0, deviation 1."""
    steps_a_unit = 10  # of Euler's method
    delay = DELAY * steps_a_unit
    x = np.full((length + 300) * steps_a_unit + delay, 1.2)
    for n in range(delay, len(x) - 1):
        late = x[n - delay]
        x[n + 1] = x[n] + (0.2 * late / (1 + late**10) - 0.1 * x[n]) / steps_a_unit
    x = x[delay + 300 * steps_a_unit :: steps_a_unit][:length]
    return ((x - x.mean()) / x.std()).astype(np.float32)


def learn(series: Tensor, remembers: bool = True) -> Forecaster:
    """Train on random pieces of a series [steps]."""
    torch.manual_seed(1)
    network = Forecaster(remembers)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(UPDATES):
        starts = torch.randint(len(series) - PIECE_STEPS - AHEAD, (PIECES,))
        pieces = torch.stack([series[b : b + PIECE_STEPS + AHEAD] for b in starts.tolist()])
        predicted, _ = network(pieces[:, :-AHEAD])
        deviation = (predicted - pieces[:, AHEAD:])[:, WARM_UP_STEPS:]
        optimiser.zero_grad()
        deviation.square().mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network


@torch.no_grad()
def forecast() -> dict[str, np.ndarray]:
    """Each way of forecasting the test part, and the `truth`: [steps] each."""
    series = torch.from_numpy(mackey_glass(TRAINING + TEST))
    test = series[TRAINING:]
    forecasts = {"truth": test[AHEAD:], "nothing changes": test[:-AHEAD]}
    for name, remembers in (("memory emptied at every step", False), ("LSTM", True)):
        with torch.enable_grad():
            network = learn(series[:TRAINING], remembers)
        # The test part goes on where the training part ended, with the memory that is carried.
        _, carried = network(series[None, :TRAINING])
        forecasts[name] = network(test[None], carried)[0][0, :-AHEAD]
    return {name: values.numpy() for name, values in forecasts.items()}


def errors(forecasts: dict[str, np.ndarray]) -> dict[str, float]:
    """Root mean square error of each forecast, in standard deviations of the series."""
    truth = forecasts["truth"]
    return {
        name: float(np.sqrt(np.mean((values - truth) ** 2)))
        for name, values in forecasts.items()
        if name != "truth"
    }


def main() -> None:
    """Print the errors."""
    for name, error in errors(forecast()).items():
        print(f"{name}: root mean square error {error:.3f} of a deviation, {AHEAD} units ahead")


if __name__ == "__main__":
    main()
