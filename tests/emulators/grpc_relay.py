"""A gRPC relay: it forwards every call of every API to an emulator, and answers some with an error of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc

from tests.emulators.faults import Faults

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcRelay(Faults[grpc.StatusCode]):
    """Forwards to `target` (`127.0.0.1:port`); `fail_next(grpc.StatusCode.UNAVAILABLE)` answers for it.

    Names of calls are full methods, as in `/google.pubsub.v1.Publisher/Publish`. A context manager.
    """

    def __init__(self, target: str) -> None:
        super().__init__()
        self._open: list[tuple[str, _Call]] = []
        self._channel = grpc.insecure_channel(target, _UNLIMITED)
        self._server = grpc.server(ThreadPoolExecutor(32), options=_UNLIMITED)
        self._server.add_generic_rpc_handlers((_Forward(self, self._channel),))
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def hush(self, of: str = "") -> None:
        """Let calls that are open now, and whose name contains `of`, say nothing more; new ones are as before."""
        for method, call in list(self._open):
            if of in method:
                call.hushed = True

    def enter(self, method: str, call: _Call) -> None:
        self._open.append((method, call))

    def leave(self, method: str, call: _Call) -> None:
        self._open.remove((method, call))

    def close(self) -> None:
        self._channel.close()
        self._server.stop(0).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Forward(grpc.GenericRpcHandler):
    """On the wire every call is a stream of messages in both directions, so one handler serves them all."""

    def __init__(self, relay: GrpcRelay, channel: grpc.Channel) -> None:
        self._relay = relay
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(lambda requests, context: self._carry(details, requests, context))

    def _carry(self, details: Any, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        fault = self._relay.take(details.method)
        if fault is not None and not fault.done:
            context.abort(fault.status, fault.message)
        with contextlib.closing(_Call(self._channel, details, requests, context)) as call:
            self._relay.enter(details.method, call)
            try:
                for answer in call.answers:
                    if fault is None and not call.hushed:
                        yield answer
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            finally:
                self._relay.leave(details.method, call)
        if fault is not None:
            context.abort(fault.status, fault.message)


class _Call:
    """A call to the emulator, with the metadata and the deadline of the client's own."""

    def __init__(
        self, channel: grpc.Channel, details: Any, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> None:
        metadata = [(name, value) for name, value in details.invocation_metadata if name != "user-agent"]
        remaining = context.time_remaining()
        timeout = None if remaining is None or remaining > 1e6 else remaining
        self.hushed = False
        self.answers = channel.stream_stream(details.method)(requests, timeout=timeout, metadata=metadata)
        context.add_callback(self.answers.cancel)

    def close(self) -> None:
        self.answers.cancel()
