"""A client as Vosk's examples in Python: a WAV file in pieces of 200 ms, an answer after each.

python vosk_python.py ws://127.0.0.1:8080 speech.wav '{"words": true}'
"""

import asyncio
import json
import sys
import wave

import websockets


async def main(uri: str, path: str, config: str) -> None:
    answers = []
    async with websockets.connect(uri) as socket:
        with wave.open(path, "rb") as file:
            rate = file.getframerate()
            await socket.send(json.dumps({"config": {"sample_rate": rate} | json.loads(config)}))
            while data := file.readframes(int(rate * 0.2)):
                await socket.send(data)
                answers.append(json.loads(await socket.recv()))
        await socket.send('{"eof" : 1}')
        answers.append(json.loads(await socket.recv()))
    print(json.dumps(answers))


asyncio.run(main(*sys.argv[1:]))
