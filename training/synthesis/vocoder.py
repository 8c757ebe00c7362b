"""The second half of Kokoro-82M, a speech synthesiser: pitch and phonetic content to sound.

The network is the decoder of StyleTTS 2 (arXiv 2306.07691) with an iSTFTNet generator (arXiv
2203.02395). It makes nine tenths of a synthesiser's work, nearly all of it in convolutions 128 and
256 channels wide. In bfloat16, with the channels innermost in memory, a core with AMX does them at
1,000 GFLOP/s, where ONNX Runtime's int8 convolutions reach a tenth of that: hence these lines
beside a library that runs the whole synthesiser (see docs/how-to/train.md for both speeds).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLE_RATE = 24_000
FRAME_SAMPLES = 600  # a frame of phonetic content: 25 ms; pitch and loudness have two
UPSAMPLING = (10, 6)
DILATIONS = (1, 3, 5)
STFT_SIZE, STFT_HOP = 20, 5
HARMONICS = 9
VOICED_HZ = 10.0
SINE_LOUDNESS, SINE_NOISE = 0.1, 0.003


class Vocoder:
    """From the outputs of the synthesiser's first half to samples."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        """`weights` by their names in the network (training/synthesis/kokoro.py reads them)."""
        self._weights: dict[str, Tensor] = {}
        for name, array in weights.items():
            tensor = torch.tensor(np.asarray(array, np.float32))
            if "convs" in name and name.endswith(".weight"):
                frequency = name.replace("convs", "alpha").removesuffix(".weight")
                if frequency in weights:
                    tensor /= torch.tensor(weights[frequency])  # [1, in, 1]: see _residual
            if tensor.dim() == 3 and name.endswith(".weight"):  # a kernel: [out, in, 1, width]
                tensor = tensor[:, :, None].to(torch.bfloat16, memory_format=torch.channels_last)
            self._weights[name] = tensor

    @torch.inference_mode()
    def __call__(
        self, content: np.ndarray, pitch: np.ndarray, loudness: np.ndarray, style: np.ndarray
    ) -> np.ndarray:
        """float32 samples at 24 kHz, 600 a frame.

        Args:
            content: [1, 512, frames].
            pitch: [1, 2 * frames] in Hz.
            loudness: [1, 2 * frames].
            style: [1, 128], the voice.
        """
        voice = torch.from_numpy(style)
        content_, curve, energy = (
            torch.from_numpy(array).reshape(1, -1, 1, array.shape[-1])
            for array in (content, pitch, loudness)
        )
        content_ = _narrow(content_)
        curves = [
            self._convolve(_narrow(one), name, stride=2, padding=1)
            for one, name in ((curve, "F0_conv"), (energy, "N_conv"))
        ]
        x = self._block(torch.cat([content_, *curves], 1), "encode", voice)
        residual = self._convolve(content_, "asr_res.0")
        for number in range(4):
            x = torch.cat([x, residual, *curves], 1)
            x = self._block(x, f"decode.{number}", voice, doubled=number == 3)
        return self._generate(x, voice, torch.from_numpy(pitch)).numpy()

    def _generate(self, x: Tensor, voice: Tensor, pitch: Tensor) -> Tensor:
        window = torch.hann_window(STFT_SIZE)
        source = torch.stft(
            self.source(pitch), STFT_SIZE, STFT_HOP, window=window, return_complex=True
        )
        harmonics = _narrow(torch.cat([source.abs(), source.angle()], 1)[:, :, None])
        last = len(UPSAMPLING) - 1
        for stage, factor in enumerate(UPSAMPLING):
            rest = math.prod(UPSAMPLING[stage + 1 :])
            excitation = self._convolve(
                harmonics,
                f"generator.noise_convs.{stage}",
                stride=rest,
                padding=(rest + 1) // 2 if stage < last else 0,
            )
            excitation = self._residual(excitation, f"generator.noise_res.{stage}", voice)
            x = self._transpose(F.leaky_relu(x, 0.1), f"generator.ups.{stage}", factor)
            if stage == last:
                x = torch.cat([x[..., 1:2], x], -1)  # reflection padding by one
            x = x + excitation
            branches = [
                self._residual(x, f"generator.resblocks.{3 * stage + branch}", voice)
                for branch in range(3)
            ]
            x = (branches[0] + branches[1] + branches[2]) / 3
        x = self._convolve(F.leaky_relu(x), "generator.conv_post", padding=3)[:, :, 0].float()
        half = STFT_SIZE // 2 + 1
        spectrum = torch.polar(x[:, :half].exp(), x[:, half:].sin())
        return torch.istft(spectrum, STFT_SIZE, STFT_HOP, window=window)[0]

    def source(self, pitch: Tensor) -> Tensor:
        """[1, samples] the excitation: pitch and harmonics where voiced, noise elsewhere."""
        samples = FRAME_SAMPLES // 2
        cycles = pitch[:, None] * torch.arange(1, HARMONICS + 1)[None, :, None] / SAMPLE_RATE
        phase = F.interpolate(
            cycles.cumsum(-1) * (2 * math.pi * samples), scale_factor=samples, mode="linear"
        )
        voiced = (pitch > VOICED_HZ).float().repeat_interleave(samples, -1)[:, None]
        noise = torch.randn_like(phase)
        noise *= voiced * SINE_NOISE + (1 - voiced) * SINE_LOUDNESS / 3
        waves = phase.sin() * SINE_LOUDNESS * voiced + noise
        mixed = waves.transpose(1, 2) @ self._weights["generator.m_source.l_linear.weight"]
        return (mixed[:, :, 0] + self._weights["generator.m_source.l_linear.bias"]).tanh()

    def _block(self, x: Tensor, name: str, voice: Tensor, doubled: bool = False) -> Tensor:
        straight = x.repeat_interleave(2, -1) if doubled else x
        straight = self._convolve(straight, f"{name}.conv1x1")
        x = F.leaky_relu(self._styled(x, f"{name}.norm1", voice), 0.2)
        if doubled:
            x = self._transpose(x, f"{name}.pool", 2, groups=x.shape[1])
        x = self._convolve(x, f"{name}.conv1", padding=1)
        x = F.leaky_relu(self._styled(x, f"{name}.norm2", voice), 0.2)
        x = self._convolve(x, f"{name}.conv2", padding=1)
        return (x + straight) / math.sqrt(2)

    def _residual(self, x: Tensor, name: str, voice: Tensor) -> Tensor:
        """Three pairs of convolutions, each after AdaIN and a snake activation, y + sin(a y)^2 / a
        (arXiv 2006.08195). AdaIN computes a y, and the convolution's weights are divided by a."""
        for number, dilation in enumerate(DILATIONS):
            y = x
            for half, spread in (("1", dilation), ("2", 1)):
                frequency = self._weights[f"{name}.alpha{half}.{number}"].flatten()
                y = self._styled(y, f"{name}.adain{half}.{number}", voice, frequency)
                sine = y.sin()
                kernel = f"{name}.convs{half}.{number}"
                width = self._weights[f"{kernel}.weight"].shape[-1]
                y = self._convolve(
                    torch.addcmul(y, sine, sine),
                    kernel,
                    padding=spread * (width - 1) // 2,
                    dilation=spread,
                )
            x = x + y
        return x

    def _styled(self, x: Tensor, name: str, voice: Tensor, factor: Tensor | float = 1) -> Tensor:
        """Each channel with the mean and deviation of the voice (AdaIN)."""
        scale, shift = torch.addmm(
            self._weights[f"{name}.fc.bias"], voice, self._weights[f"{name}.fc.weight"]
        ).reshape(2, -1)
        # The batch is one utterance, so this normalises over time.
        return F.batch_norm(
            _narrow(x), None, None, (1 + scale) * factor, shift * factor, training=True
        )

    def _convolve(
        self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Tensor:
        return F.conv2d(
            _narrow(x),
            self._weights[f"{name}.weight"],
            self._bias(name),
            stride=(1, stride),
            padding=(0, padding),
            dilation=(1, dilation),
        )

    def _transpose(self, x: Tensor, name: str, factor: int, groups: int = 1) -> Tensor:
        weight = self._weights[f"{name}.weight"]
        spare = weight.shape[-1] - factor
        return F.conv_transpose2d(
            _narrow(x),
            weight,
            self._bias(name),
            stride=(1, factor),
            padding=(0, (spare + 1) // 2),
            output_padding=(0, spare % 2),
            groups=groups,
        )

    def _bias(self, name: str) -> Tensor | None:
        bias = self._weights.get(f"{name}.bias")
        return None if bias is None else bias.bfloat16()


def _narrow(x: Tensor) -> Tensor:
    """bfloat16 with the channels innermost in memory, where convolutions are fastest."""
    return x.to(torch.bfloat16, memory_format=torch.channels_last)
