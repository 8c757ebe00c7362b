"""Pipecat's service for OpenAI: python pipecat_stt.py WEBSOCKET_URL KEY PCM_24_KHZ."""

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import (
    EndFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService

RATE = 24_000
found = {"interim": 0, "final": []}
finished = asyncio.Event()


class Collector(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        found["interim"] += isinstance(frame, InterimTranscriptionFrame)
        if isinstance(frame, TranscriptionFrame):
            found["final"].append(frame.text)
            finished.set()
        await self.push_frame(frame, direction)


async def main(base_url: str, key: str, path: str) -> None:
    pcm = Path(path).read_bytes()
    service = OpenAIRealtimeSTTService(
        api_key=key, base_url=base_url, turn_detection={"type": "server_vad"}
    )
    task = PipelineTask(
        Pipeline([service, Collector()]), params=PipelineParams(audio_in_sample_rate=RATE)
    )

    async def speak() -> None:
        await asyncio.sleep(2)  # until the session is configured
        for start in range(0, len(pcm), 4800):
            await task.queue_frame(InputAudioRawFrame(pcm[start : start + 4800], RATE, 1))
        await asyncio.wait_for(finished.wait(), 60)
        await task.queue_frame(EndFrame())

    await asyncio.gather(PipelineRunner(handle_sigint=False).run(task), speak())
    print(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))
