"""LiveKit's plugin for OpenAI: python livekit_stt.py BASE_URL KEY PCM_24_KHZ."""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.agents import stt
from livekit.plugins import openai

RATE = 24_000


async def main(base_url: str, key: str, path: str) -> None:
    pcm = Path(path).read_bytes()
    plugin = openai.STT(
        base_url=base_url, api_key=key, model="gpt-4o-transcribe", use_realtime=True
    )
    async with aiohttp.ClientSession() as session:
        plugin._session = session  # an agent's job provides it otherwise
        stream = plugin.stream()
        for start in range(0, len(pcm), 4800):
            piece = pcm[start : start + 4800]
            stream.push_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
        found = {"interim": 0, "final": []}
        async for event in stream:
            found["interim"] += event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                found["final"].append(event.alternatives[0].text)
                break
        await stream.aclose()
    print(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))
