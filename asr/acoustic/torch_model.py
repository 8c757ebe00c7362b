"""The dual-mode acoustic model: log-mel frames in, log-probabilities of phones and letters out.

Four frames and two frames of context on either side make one step of 40 ms. Equal blocks follow:

      x --+-- forward LSTM ----------------------+
          +-- backward LSTM (offline mode) ------+-- projection -- dropout -- + x -- LayerNorm -->

In offline mode both directions process the whole recording. Streaming mode omits the backward half
and carries h and c of the forward half from chunk to chunk. The weights are the same; training runs
both modes (dual-mode training: Yu et al. 2021, arXiv 2010.06030). The projection of a step also
gets the forward LSTM's next `lookahead` outputs (a row convolution: Deep Speech 2, arXiv
1512.02595), which adds a fixed delay, `AcousticConfig.latency_ms`.

`forward` processes whole recordings; `step` processes the next piece. Their results agree for every
way of cutting a recording (tests/asr/acoustic/test_torch_model.py).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.acoustic.types import AcousticConfig, AcousticState, BlockState, Emission, Mode
from asr.features.log_mel import MEL_BANDS
from asr.text.alphabet import LETTER_TOKENS, PHONE_TOKENS


class AcousticModel(nn.Module):
    """Frames to emissions, whole or in pieces. The module's docstring shows the structure."""

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(self, config: AcousticConfig = AcousticConfig()) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("feature_mean", torch.zeros(MEL_BANDS))
        self.register_buffer("feature_deviation", torch.ones(MEL_BANDS))
        seen_frames = config.frames_per_step + 2 * config.context_frames
        self.input = nn.Linear(seen_frames * MEL_BANDS, config.hidden)
        self.input_norm = nn.LayerNorm(config.hidden)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.phone_head = nn.Linear(config.hidden, len(PHONE_TOKENS))
        self.letter_head = nn.Linear(config.hidden, len(LETTER_TOKENS))

    def forward(
        self, frames: Tensor, lengths: Tensor | None = None, mode: Mode = "offline"
    ) -> tuple[Emission[Tensor], Tensor]:
        """Emissions of whole recordings.

        Args:
            frames: [batch, frames, mels] as `log_mel` returns them, padded at the end.
            lengths: [batch] true number of frames; None if no recording is padded.
            mode: "offline" runs both directions, "streaming" the forward one only.

        Returns:
            The emission, [batch, steps, tokens] each, and [batch] the true number of steps.
        """
        hidden, step_lengths = self.encode(frames, lengths, mode)
        return self.emit(hidden), step_lengths

    def encode(self, frames: Tensor, lengths: Tensor | None, mode: Mode) -> tuple[Tensor, Tensor]:
        """The last block's output [batch, steps, hidden], and the true number of steps [batch]."""
        if lengths is None:
            lengths = torch.full((len(frames),), frames.shape[1], device=frames.device)
        per_step, context = self.config.frames_per_step, self.config.context_frames
        step_lengths = (lengths + per_step - 1) // per_step
        steps = (frames.shape[1] + per_step - 1) // per_step
        normalised = self.normalise(frames)
        frame_mask = torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]
        normalised = normalised * frame_mask[:, :, None]
        missing = steps * per_step - frames.shape[1]
        x = self._embed(F.pad(normalised, (0, 0, context, context + missing)))
        mask = torch.arange(steps, device=frames.device) < step_lengths[:, None]
        for block in self.blocks:
            x = block(x, mask[:, :, None], step_lengths, mode)
        return x, step_lengths

    def emit(self, hidden: Tensor) -> Emission[Tensor]:
        """Log-probabilities [batch, steps, tokens] from the last block's output."""
        return Emission(
            self.phone_head(hidden).float().log_softmax(-1),
            self.letter_head(hidden).float().log_softmax(-1),
        )

    def normalise(self, frames: Tensor) -> Tensor:
        """Frames, normalised with the training data's mean and deviation."""
        return (frames - self.feature_mean) / self.feature_deviation

    def initial_state(self, batch: int = 1) -> AcousticState[Tensor]:
        """The state before the first frame."""
        config, like = self.config, self.input.weight
        context = like.new_zeros(batch, config.context_frames, MEL_BANDS)
        zeros = like.new_zeros(batch, config.hidden)
        empty = like.new_zeros(batch, 0, config.hidden)
        block = BlockState(zeros, zeros, empty, empty)
        return AcousticState(context, (block,) * config.blocks)

    def step(
        self, state: AcousticState[Tensor], frames: Tensor
    ) -> tuple[AcousticState[Tensor], Emission[Tensor]]:
        """Emissions of the next frames in streaming mode.

        Args:
            state: the state that the previous call returned; `initial_state` at the start.
            frames: [batch, frames, mels], any number of frames.

        Returns:
            The new state, and the steps that these frames complete, [batch, steps, tokens].
        """
        return self._advance(state, self.normalise(frames), last=False)

    def finish(self, state: AcousticState[Tensor]) -> Emission[Tensor]:
        """The last steps of a stream, which waited for their look-ahead."""
        batch, frames, _ = state.frames.shape
        padding = state.frames.new_zeros(batch, self.config.missing_frames(frames), MEL_BANDS)
        return self._advance(state, padding, last=True)[1]

    def _advance(
        self, state: AcousticState[Tensor], normalised: Tensor, last: bool
    ) -> tuple[AcousticState[Tensor], Emission[Tensor]]:
        frames = torch.cat([state.frames, normalised], dim=1)
        per_step, context = self.config.frames_per_step, self.config.context_frames
        steps = self.config.whole_steps(frames.shape[1])
        x = self._embed(frames[:, : steps * per_step + 2 * context])
        block_states = []
        for block, block_state in zip(self.blocks, state.blocks):
            block_state, x = cast(Block, block).step(block_state, x, last)
            block_states.append(block_state)
        carried = AcousticState(frames[:, steps * per_step :], tuple(block_states))
        return carried, self.emit(x)

    def _embed(self, frames: Tensor) -> Tensor:
        """[batch, steps * 4 + 2 * context, mels] normalised frames to [batch, steps, hidden]."""
        per_step, context = self.config.frames_per_step, self.config.context_frames
        seen = per_step + 2 * context
        if frames.shape[1] < seen:
            return frames.new_zeros(frames.shape[0], 0, self.config.hidden)
        windows = frames.unfold(1, seen, per_step).transpose(2, 3).flatten(2)
        steps: Tensor = self.input_norm(self.input(windows))
        return steps


class Block(nn.Module):
    """LSTM, projection with look-ahead, residual, LayerNorm."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.lookahead = config.lookahead
        self.forward_lstm = nn.LSTM(config.hidden, config.hidden, batch_first=True)
        self.backward_lstm = nn.LSTM(config.hidden, config.backward_hidden, batch_first=True)
        self.forward_projection = nn.Linear(config.hidden * (1 + config.lookahead), config.hidden)
        self.backward_projection = nn.Linear(config.backward_hidden, config.hidden, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.hidden)

    def forward(self, x: Tensor, mask: Tensor, lengths: Tensor, mode: Mode) -> Tensor:
        """All steps of whole recordings: [batch, steps, hidden] to the same.

        Args:
            mask: [batch, steps, 1], false after the end of each recording.
            lengths: [batch] true number of steps.
        """
        if not x.shape[1]:
            return x  # torch's LSTM takes no empty sequence
        forwards, _ = self.forward_lstm(x)
        projected = self.forward_projection(
            self._with_lookahead(F.pad(forwards * mask, (0, 0, 0, self.lookahead)))
        )
        if mode == "offline":
            reverse = _reversed_steps(lengths, x.shape[1])[:, :, None]
            backwards, _ = self.backward_lstm(x.gather(1, reverse.expand_as(x)))
            backwards = backwards.gather(1, reverse.expand_as(backwards))
            projected = projected + self.backward_projection(backwards)
        # One dropout mask for all steps of a recording: the LSTM cannot average it away (Gal and
        # Ghahramani 2016, arXiv 1512.05287), and an update takes 5 % less time than with one mask
        # per step.
        mask_of_all_steps = self.dropout(projected.new_ones(len(x), 1, x.shape[-1]))
        out: Tensor = self.norm(x + projected * mask_of_all_steps)
        return out

    def step(
        self, state: BlockState[Tensor], x: Tensor, last: bool
    ) -> tuple[BlockState[Tensor], Tensor]:
        """The next steps of a stream; the look-ahead of the `last` call is zeros."""
        hidden, cell = state.hidden, state.cell
        outputs = x
        if x.shape[1]:
            outputs, (h, c) = self.forward_lstm(x, (hidden[None], cell[None]))
            hidden, cell = h[0], c[0]
        x = torch.cat([state.waiting_input, x], dim=1)
        outputs = torch.cat([state.waiting_output, outputs], dim=1)
        if last:
            outputs = F.pad(outputs, (0, 0, 0, self.lookahead))
        ready = max(0, outputs.shape[1] - self.lookahead)
        carried = BlockState(hidden, cell, x[:, ready:], outputs[:, ready:])
        if not ready:
            return carried, x[:, :0]
        return carried, self.norm(
            x[:, :ready] + self.forward_projection(self._with_lookahead(outputs))
        )

    def _with_lookahead(self, outputs: Tensor) -> Tensor:
        """[batch, steps + lookahead, hidden] to [batch, steps, hidden * (1 + lookahead)]."""
        steps = outputs.shape[1] - self.lookahead
        return torch.cat([outputs[:, k : k + steps] for k in range(1 + self.lookahead)], dim=-1)


def _reversed_steps(lengths: Tensor, steps: int) -> Tensor:
    """Indices [batch, steps] that reverse each recording within its own length.

    A packed sequence would do the same, but oneDNN's fast LSTM takes only plain tensors.
    """
    index = torch.arange(steps, device=lengths.device)
    reversed_index = lengths[:, None] - 1 - index
    return torch.where(reversed_index >= 0, reversed_index, index)
