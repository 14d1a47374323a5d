"""The parent's end of a worker process: start, ask with a deadline, kill."""

from __future__ import annotations

import mmap
import os
import select
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import clock_gettime

import msgspec

from device_profiles.js.wire import (
    HEAD,
    LARGEST_FRAME,
    PLACE,
    Answer,
    Hello,
    Reply,
    Request,
    pack,
    read_answer,
    spoken,
)

START_S = 20.0
"""How long a worker may take to come up; a small board is slow."""

STARVED_CPU_S = 0.05
"""CPU time below which a late worker did not get its turn, rather than waste it."""

STARVED_WALLS = 4
"""How many times the wall limit such a worker gets."""

_PIECE = 1 << 16
_TICK_S = 0.025

_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="js-starter")
# A worker is told to die with the *thread* that started it: so always this one, which lives as
# long as the program.


class Stopped(Exception):
    """The worker gave no good answer; it is dead or must be killed.

    Attributes:
        code: ``codec_timeout codec_crashed codec_output codec_unavailable``.
        reason: For people.
        at: Which of the messages it was at.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.at = 0


class Child:
    """One worker process.

    Args:
        clock: Seconds on a clock that never jumps.
        command: What to start; the parent's process id is added, and the number of the file in
            which the worker tells where it is.

    Attributes:
        loaded: Keys of the codecs that it has taken in.
        pid: Its process id.

    Raises:
        Stopped: It cannot be started.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        command: tuple[str, ...] = (sys.executable, "-s", "-P", "-m", "device_profiles.js.worker"),
    ) -> None:
        self.loaded: set[int] = set()
        self._clock = clock
        self._greeted = False
        place = os.memfd_create("place")
        try:
            os.truncate(place, PLACE.size)
            self._place = mmap.mmap(place, PLACE.size)
            self._process = _STARTER.submit(_start, command, place).result()
        except (OSError, RuntimeError) as exc:
            raise Stopped("codec_unavailable", f"no worker can be started: {exc}") from exc
        finally:
            os.close(place)
        self.pid = self._process.pid
        self._cpu_clock = ~self.pid << 3 | 2  # clock_getcpuclockid(3), which Python does not have
        self._cpu_before = 0.0
        self._wall_s = self._until = self._patience = 0.0
        self._at = 0
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to = self._process.stdin.fileno()
        self._from = self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._writable = select.poll()
        self._writable.register(self._to, select.POLLOUT)
        self._readable = select.poll()
        self._readable.register(self._from, select.POLLIN)

    def alive(self) -> bool:
        """Return whether the process is running."""
        return self._process.poll() is None

    def ask(self, request: Request, wall_s: float) -> Reply:
        """Return the worker's answer.

        Args:
            request: What to do.
            wall_s: Seconds to wait for each message of it, once the worker is up; four times as
                many where the machine is so busy that the worker hardly ran.

        Raises:
            Stopped: No answer in time, none at all, or one that is none; ``at`` says at which
                message.
        """
        if not self._greeted:
            self._greet()
        try:
            PLACE.pack_into(self._place, 0, 0)
            self._begin(wall_s)
            self._write(pack(request))
            answer = self._read()
        except OSError as exc:
            raise self._stopped("codec_crashed", "the worker ended") from exc
        except Stopped as exc:
            exc.at = self._where()
            raise
        if not isinstance(answer, Reply):
            raise self._stopped("codec_crashed", "the worker gave no answer")
        return answer

    def kill(self) -> None:
        """End the process, whatever it is doing, and wait until it has."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def _greet(self) -> None:
        try:
            self._begin(START_S)
            hello = self._read()
        except (OSError, Stopped) as exc:
            raise Stopped("codec_unavailable", "the worker did not come up") from exc
        if not isinstance(hello, Hello) or hello.trouble:
            trouble = hello.trouble if isinstance(hello, Hello) else "no greeting"
            raise Stopped("codec_unavailable", f"the worker cannot work: {trouble}")
        self._greeted = True

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while True:
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                self._wait(self._writable)
                continue
            if not view:
                return

    def _read(self) -> Answer:
        body = bytearray()
        size = None
        while size is None or len(body) < size:
            self._wait(self._readable)
            part = os.read(self._from, _PIECE)
            if not part:
                raise Stopped("codec_crashed", "the worker ended")
            body += part
            if size is None and len(body) >= HEAD.size:
                size = HEAD.size + HEAD.unpack_from(body)[0]
                if size > LARGEST_FRAME:
                    raise Stopped("codec_output", f"an answer of {size} bytes")
        try:
            return read_answer(memoryview(body)[HEAD.size :])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise Stopped("codec_crashed", "the worker's answer cannot be read") from exc

    def _begin(self, wall_s: float) -> None:
        """Let the time of one message begin."""
        self._wall_s = wall_s
        self._until = self._clock() + wall_s
        self._patience = (STARVED_WALLS - 1) * wall_s
        self._cpu_before = clock_gettime(self._cpu_clock)
        self._at = self._where()

    def _wait(self, ready: select.poll) -> None:
        if spoken(ready):
            return
        while True:
            left = self._until - self._clock()
            if left > 0:
                if ready.poll(min(left, _TICK_S) * 1000):
                    return
                if self._where() != self._at:
                    self._begin(self._wall_s)  # the next message: it has its own time
                continue
            used = clock_gettime(self._cpu_clock) - self._cpu_before
            if used >= STARVED_CPU_S or not self._patience:
                raise Stopped("codec_timeout", "took longer than it may, and was killed")
            self._until, self._patience = self._clock() + self._patience, 0.0

    def _where(self) -> int:
        place: int = PLACE.unpack_from(self._place)[0]
        return place

    def _stopped(self, code: str, reason: str) -> Stopped:
        stopped = Stopped(code, reason)
        stopped.at = self._where()
        return stopped


def _start(command: tuple[str, ...], place: int) -> subprocess.Popen[bytes]:
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*command, str(os.getpid()), str(place)],
        pass_fds=(place,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=environment,
        cwd="/",
        process_group=0,
    )
